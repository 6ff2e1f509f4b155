"""Small generic base networks, one builder a family, with random dyadic weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lumpnet.testing.draft import Draft

Weights = Callable[..., np.ndarray]
ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", "relu6", "hardtanh", "none")


class Base:
    """A draft with helpers that draw weights from `rng`. `activation` None draws one at every place."""

    def __init__(self, rng: np.random.Generator, inputs: dict[str, tuple[int | None, ...]], activation: str | None = None, trained: bool = False):
        self.rng, self.activation, self.trained = rng, activation, trained
        self.draft = Draft(inputs)

    def weights(self, *shape: int) -> np.ndarray:
        """Non-zero sixteenths of random sign: generic, and far from filling a float32. Trained: float32 noise."""
        if self.trained:
            return self.rng.normal(size=shape).astype(np.float32).astype(np.float64)
        return np.asarray(self.rng.integers(1, 64, size=shape) * self.rng.choice([-1.0, 1.0], size=shape) / 16)

    def pick(self, *options: str) -> str:
        return str(self.rng.choice(list(options)))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def width(self) -> int:
        return int(self.rng.integers(2, 4))

    def linear(self, x: str, out: int, key: str | None = None) -> str:
        n = int(self.draft.shapes[x][-1] or 0)
        if key is not None:
            return self.draft.add("linear", [x], weight=f"{key}.weight", bias=f"{key}.bias")
        if self.chance(0.15):
            return self.draft.add("linear", [x], weight=self.weights(out, n))
        return self.draft.add("linear", [x], weight=self.weights(out, n), bias=self.weights(out))

    def conv(self, x: str, out: int, kernel: int = 3, padding: int | None = None, bias: bool = True, depthwise: bool = False, stride: int = 1) -> str:
        n = int(self.draft.shapes[x][1] or 0)
        pad = kernel // 2 if padding is None else padding
        attrs = {"stride": [stride] * 2, "padding": [pad] * 2, "dilation": [1] * 2, "groups": n if depthwise else 1}
        weight = self.weights(out, 1 if depthwise else n, kernel, kernel)
        return self.draft.add("conv", [x], attrs, weight=weight, **({"bias": self.weights(out)} if bias else {}))

    def norm(self, x: str) -> str:
        n = int(self.draft.shapes[x][1] or 0)
        var = self.rng.integers(1, 40, size=n) / 8 if not self.chance(0.3) else self.rng.choice([0.25, 1.0, 2.25, 4.0], size=n)
        eps = 0.0 if self.chance(0.3) else float(np.float32(1e-5))
        var, gamma = var.astype(np.float64), self.weights(n)
        if not self.trained and self.chance(0.1):
            gamma[0] = 0
        return self.draft.add("batch_norm", [x], {"eps": eps}, weight=gamma, bias=self.weights(n), mean=self.weights(n), var=var)

    def act(self, x: str, kind: str | None = None) -> str:
        kind = kind or self.activation or self.pick(*ACTIVATIONS, "relu", "relu")
        if self.chance(0.08):
            x = self.constant(x)
        if kind == "none":
            if not self.chance(0.3):
                return x
            return self.draft.add("identity", [x]) if self.chance(0.5) else self.draft.add("dropout", [x], {"p": 0.5})
        attrs: dict[str, dict[str, object]] = {
            "leaky_relu": {"slope": 0.125},
            "gelu": {"approximate": self.pick("none", "tanh")},
            "relu6": {"min": 0.0, "max": 6.0},
            "hardtanh": {"min": -1.0, "max": 1.0},
        }
        return self.draft.add("hardtanh" if kind == "relu6" else kind, [x], attrs.get(kind, {}))

    def constant(self, x: str) -> str:
        """Times or plus a number, or one number a unit."""
        axis = 1 if len(self.draft.shapes[x]) > 2 else len(self.draft.shapes[x]) - 1
        numbers = self.weights(int(self.draft.shapes[x][axis] or 0)) if self.chance(0.5) else self.weights(1).reshape(())
        if self.chance(0.5):
            return self.draft.add("mul_constant", [x], {"axis": axis}, factor=numbers)
        return self.draft.add("add_constant", [x], {"axis": axis}, term=numbers)

    def pool(self, x: str) -> str:
        window = {"kernel": [2, 2], "stride": [2, 2], "padding": [1, 1] if self.chance(0.3) else [0, 0], "ceil_mode": self.chance(0.3)}
        if self.chance(0.5):
            return self.draft.add("max_pool", [x], window | {"dilation": [1, 1]})
        return self.draft.add("avg_pool", [x], window | {"count_include_pad": self.chance(0.5), "divisor_override": 3 if self.chance(0.15) else None})

    def head(self, x: str) -> None:
        """From maps to two outputs."""
        way = self.pick("flatten", "mean", "adaptive", "adaptive flatten")
        if way == "mean":
            x = self.draft.add("mean", [x], {"axes": [2, 3], "keepdim": False})
        else:
            if way.startswith("adaptive"):
                size = [1, 1] if way == "adaptive" else [2, 1]
                x = self.draft.add(self.pick("adaptive_avg_pool", "adaptive_max_pool"), [x], {"output_size": size})
            x = self.draft.add("reshape", [x], {"shape": [int(np.prod([int(d or 0) for d in self.draft.shapes[x][1:]]))]})
        self.finish(self.linear(x, 2))

    def finish(self, x: str) -> None:
        self.draft.outputs.append(x)
        self.draft.assign_columns()
        if not self.trained and self.chance(0.3):
            self._make_constant()
        if not self.trained and self.chance(0.08):
            self._silence()

    def _make_constant(self) -> None:
        """One row of one convolution becomes a constant; behind it, zero padding may forbid it to leave."""
        convs = [s for s in self.draft.steps if s.kind == "conv" and s.mixes and "bias" in s.params]
        if convs:
            step = convs[int(self.rng.integers(len(convs)))]
            self.draft.tensors[step.params["weight"]][0] = 0

    def _silence(self) -> None:
        """One layer, or one batch norm's factors, become zero throughout: a value that is constant in all its units."""
        hidden = [s for s in self.draft.steps if s.kind in ("linear", "conv", "batch_norm") and s.name not in self.draft.outputs]
        if hidden:
            step = hidden[int(self.rng.integers(len(hidden)))]
            self.draft.tensors[step.params["weight"]][:] = 0


def mlp(b: Base) -> None:
    x = "x"
    for _ in range(int(b.rng.integers(1, 4))):
        x = b.act(b.linear(x, b.width()))
    b.finish(b.linear(x, 2))


def cnn(b: Base) -> None:
    x = "x"
    for _ in range(2):
        size = int(b.draft.shapes[x][2] or 0)
        x = b.conv(x, b.width(), kernel=int(b.rng.choice([1, 3, 3])), padding=int(b.rng.integers(size < 4, 2)), bias=b.chance(0.8))
        if b.chance(0.4):
            x = b.norm(x)
        x = b.act(x)
        if b.chance(0.4) and int(b.draft.shapes[x][2] or 0) >= 2:
            x = b.pool(x)
    b.head(x)


def resnet(b: Base) -> None:
    n = b.width()
    x = b.act(b.norm(b.conv("x", n, bias=False))) if b.chance(0.5) else b.act(b.conv("x", n))
    for _ in range(int(b.rng.integers(1, 3))):
        y = b.conv(x, b.width(), bias=b.chance(0.5))
        y = b.act(b.norm(y) if b.chance(0.5) else y)
        y = b.conv(y, n)
        y = b.norm(y) if b.chance(0.5) else y
        x = b.draft.add("add", [x, y] if b.chance(0.5) else [y, x])
        x = b.act(x) if b.chance(0.7) else x
    b.head(x)


def depthwise(b: Base) -> None:
    n = b.width()
    x = b.act(b.conv("x", n, kernel=1))
    for _ in range(int(b.rng.integers(1, 3))):
        m = b.width()
        y = b.conv(x, m, kernel=1, bias=b.chance(0.5))
        y = b.act(b.norm(y) if b.chance(0.7) else y, "relu6" if b.chance(0.5) else None)
        y = b.conv(y, m, depthwise=True, bias=b.chance(0.5), padding=int(b.rng.integers(1, 2)))
        y = b.act(b.norm(y) if b.chance(0.7) else y, "relu6" if b.chance(0.5) else None)
        y = b.conv(y, n, kernel=1, bias=b.chance(0.5))
        y = b.norm(y) if b.chance(0.7) else y
        x = b.draft.add("add", [x, y]) if b.chance(0.7) else y
    b.head(x)


def concat(b: Base) -> None:
    x = b.act(b.conv("x", b.width()))
    for _ in range(int(b.rng.integers(1, 3))):
        if b.chance(0.5):
            squeeze = b.act(b.conv(x, b.width(), kernel=1))
            parts = [b.act(b.conv(squeeze, b.width(), kernel=1)), b.act(b.conv(squeeze, b.width(), kernel=3))]
        else:
            parts = [x, b.act(b.conv(x, b.width()))]
        x = b.draft.add("concat", parts, {"axis": 1})
        x = b.act(b.norm(x)) if b.chance(0.3) else x
    b.head(x)


def gate(b: Base) -> None:
    n = b.width()
    x = b.act(b.conv("x", n))
    s = b.draft.add("mean", [x], {"axes": [2, 3], "keepdim": True}) if b.chance(0.5) else b.draft.add("adaptive_avg_pool", [x], {"output_size": [1, 1]})
    s = b.act(b.conv(s, b.width(), kernel=1), "relu" if b.chance(0.7) else None)
    s = b.act(b.conv(s, n, kernel=1), b.pick("sigmoid", "sigmoid", "relu6", "relu", "none"))
    x = b.draft.add("mul", [x, s] if b.chance(0.5) else [s, x])
    if b.chance(0.5):
        x = b.act(b.conv(x, b.width()))
    b.head(x)


def tied(b: Base) -> None:
    n = b.width()
    x = b.act(b.linear("x", n))
    b.draft.tensors["t.weight"], b.draft.tensors["t.bias"] = b.weights(n, n), b.weights(n)
    kind = b.activation or b.pick("relu", "tanh", "leaky_relu", "gelu", "relu")
    x = b.act(b.linear(x, n, key="t"), kind)
    x = b.act(b.linear(x, n, key="t"), kind)
    b.finish(b.linear(x, 2))


FAMILIES: dict[str, Callable[[Base], None]] = {f.__name__: f for f in (mlp, cnn, resnet, depthwise, concat, gate, tied)}
FLAT = ("mlp", "tied")


def base(seed: int, family: str, activation: str | None = None, trained: bool = False) -> Draft:
    """A generic network of the family, as a draft. Raises `KeyError` for an unknown family."""
    rng = np.random.default_rng([seed, sorted(FAMILIES).index(family)])
    shape: tuple[int | None, ...] = (None, 3) if family in FLAT else (None, 2, 4, 4)
    builder = Base(rng, {"x": shape}, activation, trained)
    FAMILIES[family](builder)
    return builder.draft
