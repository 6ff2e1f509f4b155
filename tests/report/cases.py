"""Results to report: small networks with hostile names, results of every verdict, and large ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np

import lumpnet
from lumpnet.audit.result import Audit
from lumpnet.ir import Graph
from lumpnet.report import Page, Point, audits, reduction, sweeps
from lumpnet.sweeping import Candidate, Sweep
from tests.bounds.cases import RELU, chain, linear

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "lumpnet" / "cli" / "demo.safetensors"
BEACON = "BEACON"
"""In hostile names: the address of a server that counts who asks."""

HOSTILE = (
    "</style><script>document.title='owned'</script>",
    "</title><script>document.title='owned'</script>",
    f"\"><img src={BEACON}/img onerror=\"document.title='owned'\">",
    f"' onload='document.title=1' x='{BEACON}",
    f"<svg/onload=document.title='owned'><image href={BEACON}/svg>",
    f"<link rel=stylesheet href={BEACON}/css><iframe src={BEACON}/frame></iframe>",
    f"url({BEACON}/url);background:url({BEACON}/style)",
    "<!--", "]]>", "&lt;b&gt;&#x3c;b&#x3e;", "\u202egnp.exe\u202c", "\u2066x\u2069\u200f", "\x00\x1b[31mred\n\r\t", "a" * 10_000, "<b>" * 3_000,
    "\u05e9\u05dc\u05d5\u05dd", "{0}%s${x}", "\ufffe\uffff", "z" + "\u0301" * 99,
)  # fmt: skip
POINTS = (
    Point(1.0, 0.0, 0.0, 0.0, HOSTILE[0]),
    Point(0.7, 40.0, 3.0, 0.5, HOSTILE[2]),
    Point(0.4, None, 30.0, None, HOSTILE[10]),
)


def named(graph: Graph, names: tuple[str, ...]) -> Graph:
    """The same network; its values are called by these names, in turn, as far as network files allow."""
    fresh = {value.name: f"{names[k % len(names)][:900]}{k}" for k, value in enumerate(graph.values())}
    nodes = tuple(replace(n, value=replace(n.value, name=fresh[n.name]), inputs=tuple(fresh[i] for i in n.inputs)) for n in graph.nodes)
    inputs = tuple(replace(v, name=fresh[v.name]) for v in graph.inputs)
    return replace(graph, inputs=inputs, nodes=nodes, outputs=tuple(fresh[name] for name in graph.outputs))


def layered(depth: int, width: int = 6, seed: int = 0) -> Graph:
    """Linear layers and ReLUs on 16 inputs; unit 1 is twice unit 0, unit 2 is constant, nobody reads unit 3."""
    rng, before, layers = np.random.default_rng(seed), 16, []
    for _ in range(depth):
        weight, bias = rng.integers(-1, 4, size=(width, before)) / 8.0, rng.integers(0, 4, size=width) / 4.0
        weight[1], bias[1], weight[2], bias[2] = 2 * weight[0], 2 * bias[0], 0, 1
        weight[:, 3] = 0 if layers else weight[:, 3]
        layers += [linear(weight, bias), RELU]
        before = width
    last = rng.integers(-3, 4, size=(3, before)) / 4.0
    last[:, 3] = 0
    return chain([16], *layers, linear(last))


def changed(graph: Graph, by: float = 0.125) -> Graph:
    """A copy whose first weight is another one."""
    first = next(iter(graph.tensors))
    moved = graph.tensors[first].copy()
    moved.flat[0] += by
    return replace(graph, tensors={**graph.tensors, first: moved})


@cache
def hostile_pages() -> MappingProxyType[str, Page]:
    """One page of each sort, every name in it hostile."""
    graph = named(layered(len(HOSTILE)), HOSTILE)
    reduced = lumpnet.reduce(lumpnet.Network(graph))
    box = lumpnet.Box(-1, 1)
    found = lumpnet.audit(lumpnet.Network(graph), lumpnet.Network(changed(graph, 4.0)), domain=box, data=examples(), timeout=0.5)
    options = {HOSTILE[0]: HOSTILE[2], "domain": HOSTILE[5]}
    refused = replace(reduced, verdict=lumpnet.Refuted(f"{HOSTILE[0]} {HOSTILE[10]}", HOSTILE[2]), pinned=list(pairwise(HOSTILE)))
    doubted = replace(found, verdict="unknown", upper_bound=None, reason=HOSTILE[0])
    return MappingProxyType(
        {
            "reduce": reduction.page(reduced, HOSTILE[:3], reduced.executed(box), options, POINTS),
            "refuted": reduction.page(refused, HOSTILE[13:16], None, options),
            "audit": audits.page(found, HOSTILE[13:15], options, POINTS),
            "unknown": audits.page(doubted, HOSTILE[10:12], options),
            "sweep": sweeps.page(swept(graph), options),
        }
    )


def swept(graph: Graph) -> Sweep:
    """Made-up candidates of every sort, for layers of the graph."""
    made = []
    for k, node in enumerate(graph.nodes[:6]):
        bound = (0.0, "certificate") if k == 0 else (None, None) if k == 1 else (2.5 * k, "audit")
        for layer in (None, node.name):
            method, reason = ("relaxed" if layer or k % 2 else HOSTILE[k]), HOSTILE[k] if bound[0] is None else None
            made.append(
                Candidate(method, layer, 0.9 - k / 10, 90 - k, 1000, 10_000, *bound, 0.1 * k, 0.2 * k, k, 0.5, HOSTILE[k + 1], "bounded", reason, 1.0, 2.0)
            )
    of = {"lumpnet": "0", "model": "0" * 64, "domain": "0" * 64, "data": "0" * 64, "boxes": 1, "seed": 0}
    return Sweep(HOSTILE[0], lumpnet.Network(graph), tuple(made), of, 0.75, 1.0)


def examples(n: int = 40) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1.2, 1.2, size=(n, 16)).astype(np.float32)


@cache
def audited() -> Audit:
    """The demo's network against one with half of its units, on made-up images."""
    network = lumpnet.Network.load(DEMO)
    other = lumpnet.prune(network, method="random", keep=0.5).network
    return lumpnet.audit(network, other, domain=lumpnet.Box(0, 1), data=images(), timeout=1)


def images() -> np.ndarray:
    """60 made-up images, the first 30 inside of the domain 0:1."""
    made = np.random.default_rng(2).uniform(-0.1, 1, size=(60, 1, 8, 8)).astype(np.float32)
    made[:30] = made[:30].clip(0, 1)
    return made


@cache
def demo() -> lumpnet.Reduction:
    return lumpnet.reduce(DEMO, require="exact")
