"""Two networks and a certificate as plain, mutable data: what is in the files, before the hashes bind them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from lumpnet.certificate import dumps
from lumpnet.ir import Graph, graph_json
from lumpnet.quotient import plan
from lumpnet.quotient.claim import certificate as claim
from lumpnet.verdict import Verdict

Json = dict[str, Any]


def compact(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))


@dataclass
class Net:
    """One network file: the graph's JSON and the tensors (never changed in place)."""

    graph: Json
    tensors: dict[str, np.ndarray]

    def copy(self) -> Net:
        return Net(json.loads(compact(self.graph)), dict(self.tensors))

    def data(self) -> bytes:
        return bytes(save({name: np.ascontiguousarray(t).reshape(t.shape) for name, t in self.tensors.items()}, {"lumpnet": compact(self.graph)}))

    @property
    def nodes(self) -> list[Json]:
        return self.graph["nodes"]

    def values(self) -> dict[str, Json]:
        return {v["name"]: v for v in (*self.graph["inputs"], *self.nodes)}

    def node(self, name: str) -> Json | None:
        return next((n for n in self.nodes if n["name"] == name), None)

    def params(self, node: Json) -> dict[str, np.ndarray]:
        return {role: self.tensors[key] for role, key in node["params"].items()}

    def put(self, node: Json, role: str, tensor: np.ndarray) -> None:
        """Give one node a tensor of its own, or change a shared one for all who share it."""
        key = node["params"].setdefault(role, f"{node['name']}.{role}.new")
        self.tensors[key] = tensor


def net_of(graph: Graph) -> Net:
    return Net(json.loads(compact(graph_json(graph))), {name: np.asarray(t) for name, t in graph.tensors.items()})


@dataclass
class Triple:
    """`certificate` is the certificate's JSON; its hashes are written by `files`."""

    label: str
    g: Net
    h: Net
    certificate: Json
    rebind: bool = True
    spoil: tuple[str, int] | None = None

    def copy(self) -> Triple:
        return Triple(self.label, self.g.copy(), self.h.copy(), json.loads(compact(self.certificate)), self.rebind, self.spoil)

    @property
    def lumpings(self) -> Json:
        return self.certificate["lumpings"]

    @property
    def rounding(self) -> str:
        return str(self.certificate["claim"]["rounding"])

    def files(self) -> tuple[bytes, bytes, bytes]:
        """The bytes of the three files; the certificate names the networks' hashes unless `rebind` is off."""
        g, h = self.g.data(), self.h.data()
        if self.rebind:
            self.certificate["original"] = {"sha256": hashlib.sha256(g).hexdigest()}
            self.certificate["reduced"] = {"sha256": hashlib.sha256(h).hexdigest()}
        files = {"g": g, "h": h, "c": compact(self.certificate).encode()}
        if self.spoil is not None:
            which, at = self.spoil
            data = bytearray(files[which])
            data[at % len(data)] ^= 1 << (at // len(data)) % 8
            files[which] = bytes(data)
        return files["g"], files["h"], files["c"]


def check(files: tuple[bytes, bytes, bytes], folder: Path) -> Verdict:
    """The checker's verdict on the three files. Raises `LumpnetError` for unreadable ones."""
    from lumpnet.check import check_files

    paths = [folder / name for name in ("g.safetensors", "h.safetensors", "c.json")]
    for path, data in zip(paths, files, strict=True):
        path.unlink(missing_ok=True)  # the checker maps the file: never write into a mapped one
        path.write_bytes(data)
    return check_files(*paths)


def reduced(label: str, graph: Graph, dtype: str | None = None, require: str = "nearest") -> Triple:
    """The triple that lumpnet itself makes of a graph."""
    found = plan(graph, require, dtype)
    written = claim(found.outcome, found.kept, ("0" * 64, "0" * 64), found.quotient.rounding, {"equal": 1}, {"note": 1})
    return Triple(label, net_of(graph), net_of(found.quotient.graph), json.loads(dumps(written)))
