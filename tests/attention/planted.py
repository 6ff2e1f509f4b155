"""One attention between linear layers, with planted blocks of heads: copies, heads nobody reads, constants; and what must be left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpnet.ir import Graph, Node, Value

WIDTH = 5


@dataclass
class Layers:
    """Weights by block: q (blocks, each, d, WIDTH + 1), k and v (blocks, width, WIDTH + 1) with the bias last, o (blocks, each, dv, out)."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    o: np.ndarray
    causal: bool = False
    scale: float = 0.5

    def block(self, g: int) -> list[np.ndarray]:
        return [self.q[g].copy(), self.k[g].copy(), self.v[g].copy(), self.o[g].copy()]

    def put(self, parts: list[np.ndarray], at: int) -> None:
        """A new block at position `at`."""
        for name, part in zip("qkvo", parts, strict=True):
            setattr(self, name, np.insert(getattr(self, name), at, part, axis=0))

    def graph(self) -> Graph:
        tokens = 4
        blocks, each, dv, _ = self.o.shape
        tensors: dict[str, np.ndarray] = {}
        nodes = []

        def linear(name: str, rows: np.ndarray, source: str) -> None:
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = rows[:, :-1].astype("float32"), rows[:, -1].astype("float32")
            roles = {role: f"{name}.{role}" for role in ("weight", "bias")}
            nodes.append(Node(Value(name, (None, tokens, len(rows))), "linear", (source,), {}, roles))

        for name in "qkv":
            rows = getattr(self, name)
            linear(name, rows.reshape(-1, rows.shape[-1]), "x")
        attrs = {"heads": blocks * each, "kv_heads": blocks, "scale": self.scale, "causal": self.causal}
        nodes.append(Node(Value("a", (None, tokens, blocks * each * dv)), "attention", ("q", "k", "v"), attrs))
        rows = self.o.reshape(-1, self.o.shape[-1]).T
        linear("y", np.concatenate([rows, np.ones((len(rows), 1))], axis=1), "a")
        return Graph((Value("x", (None, tokens, WIDTH)),), tuple(nodes), ("y",), tensors)


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """No two alike, none zero, few bits."""
    return rng.choice([-1.0, 1.0], size=shape) * rng.integers(1, 4000, size=shape) / 64


def layers(rng: np.random.Generator, blocks: int, each: int, d: int, dv: int) -> Layers:
    return Layers(
        numbers(rng, blocks, each, d, WIDTH + 1),
        numbers(rng, blocks, d, WIDTH + 1),
        numbers(rng, blocks, dv, WIDTH + 1),
        numbers(rng, blocks, each, dv, 3),
        causal=bool(rng.random() < 0.5),
    )
