"""Networks and certificates written by hand, for tests of the checker: one correct triple per law, and ways to break it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from lumpnet.certificate import Certificate, Effect, Lumping, Moves, Surd, dumps
from lumpnet.check import check_files
from lumpnet.ir import Graph, Node, Value, graph_json
from lumpnet.verdict import Verdict

F = Fraction


def arr(values: Any, dtype: str = "float32") -> np.ndarray:
    return np.array(values, dtype)


@dataclass
class N:
    """A node to be: mutable, so that a test can break just one thing."""

    kind: str
    shape: tuple[Any, ...]
    inputs: list[str]
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    dtype: str | None = None


@dataclass
class Net:
    inputs: dict[str, tuple[Any, ...]]
    nodes: dict[str, N]
    outputs: list[str]
    dtype: str = "float32"
    choices: dict[str, int] = field(default_factory=dict)
    """Inputs that are integers, and how many there are."""

    def stored(self, name: str) -> dict[str, np.ndarray]:
        return {role: value if isinstance(value, np.ndarray) else np.array(value, self.dtype) for role, value in self.nodes[name].params.items()}

    def graph(self) -> Graph:
        tensors, nodes = {}, []
        for name, node in self.nodes.items():
            tensors |= {f"{name}.{role}": value for role, value in self.stored(name).items()}
            keys = {role: f"{name}.{role}" for role in node.params}
            nodes.append(Node(Value(name, node.shape, node.dtype or self.dtype), node.kind, tuple(node.inputs), node.attrs, keys))
        return Graph(
            tuple(Value(n, s, "int64" if n in self.choices else self.dtype) for n, s in self.inputs.items()), tuple(nodes), tuple(self.outputs), tensors
        )


def file_bytes(net: Net) -> bytes:
    graph = net.graph()
    text = json.dumps(graph_json(graph), allow_nan=False)
    return bytes(save({name: np.asarray(t, order="C") for name, t in graph.tensors.items()}, {"lumpnet": text}))


def lump(classes: list[int], columns: int, reps: list[int], scale: Mapping[int, Any] = {}, offset: Mapping[int, Any] = {}, axis: int = 1) -> Lumping:
    def real(value: Any) -> Any:
        return value if isinstance(value, Surd) else F(value)

    return Lumping(axis, columns, tuple(classes), tuple(reps), {k: F(v) for k, v in scale.items()}, {k: real(v) for k, v in offset.items()})


@dataclass
class Triple:
    """An original, its reduction, and the lumpings that relate them; values without an entry are identities."""

    g: Net
    h: Net
    lumpings: dict[str, Lumping | str]
    rounding: str = "none"
    effect: Effect | None = None
    moved: Moves | None = None

    def broken(self, breaking: Callable[[Triple], Any]) -> Triple:
        out = copy.deepcopy(self)
        breaking(out)
        return out

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        g, h = file_bytes(self.g), file_bytes(self.h)
        lumpings = {name: self.lumpings.get(name, "identity") for name in (*self.g.inputs, *self.g.nodes)} | self.lumpings
        hashes, verdict = [hashlib.sha256(data).hexdigest() for data in (g, h)], "exact" if self.moved is None else "bounded"
        claim = Certificate(*hashes, lumpings, self.rounding, verdict, effect=self.effect, moved=self.moved)
        paths = folder / "g.safetensors", folder / "h.safetensors", folder / "c.json"
        for path, data in zip(paths, (g, h, dumps(claim)), strict=True):
            path.write_bytes(data)
        return paths

    def verdict(self, folder: Path) -> Verdict:
        return check_files(*self.write(folder))


def set_lumping(name: str, **changes: Any) -> Callable[[Triple], None]:
    """Change some fields of the lumping of one value."""

    def breaking(triple: Triple) -> None:
        old = triple.lumpings[name]
        if not isinstance(old, Lumping):
            raise TypeError(name)
        triple.lumpings[name] = Lumping(**({k: getattr(old, k) for k in ("axis", "columns", "classes", "representatives", "scale", "offset")} | changes))

    return breaking


def set_entry(net: str, node: str, role: str, index: Any, value: float) -> Callable[[Triple], None]:
    """Change one stored number."""

    def breaking(triple: Triple) -> None:
        owner = getattr(triple, net)
        changed = np.array(owner.stored(node)[role], copy=True)
        changed[index] = value
        owner.nodes[node].params[role] = changed

    return breaking


def set_attr(net: str, node: str, key: str, value: Any) -> Callable[[Triple], None]:
    return lambda triple: getattr(triple, net).nodes[node].attrs.update({key: value})


def both(*breakings: Callable[[Triple], Any]) -> Callable[[Triple], None]:
    def breaking(triple: Triple) -> None:
        for one in breakings:
            one(triple)

    return breaking
