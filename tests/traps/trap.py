"""What every trap uses: small layers from plain numbers, one way to reduce and compare, and one way to forge.

`reduced` is the law that all traps share: the checker proves the result, and both
networks are one function on rational inputs (or in double precision where the
operators have no rational values). `forged` builds the quotient of a lumping that
somebody wrote by hand, well formed in every detail, so that only the claim is wrong.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import lumpnet
from lumpnet.api import Reduction
from lumpnet.certificate import dumps
from lumpnet.check import check_files
from lumpnet.errors import NoExactValue
from lumpnet.evidence.sampling import choices
from lumpnet.exact import ONE, ZERO, constant_array, fractions
from lumpnet.ir import Graph
from lumpnet.lump.exact import Outcome
from lumpnet.network import Network, lower
from lumpnet.ops import size
from lumpnet.ops.sites import run, sites
from lumpnet.partition import normal_form
from lumpnet.quotient import all_columns, build, certificate
from lumpnet.verdict import Proved, Refuted, Verdict

Merge = tuple[int, Any, Any]
"""(representative, scale, offset) of a unit; a plain number instead says that the unit is that constant."""


# -- layers ---------------------------------------------------------------------------------


def tensor(values: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64)).to(dtype)


def linear(weight: Any, bias: Any = None, dtype: torch.dtype = torch.float32) -> nn.Linear:
    w = tensor(weight, dtype)
    layer = nn.Linear(w.shape[1], w.shape[0], bias is not None, dtype=dtype)
    return _filled(layer, weight=w, **({} if bias is None else {"bias": tensor(bias, dtype)}))


def conv(weight: Any, bias: Any = None, **options: Any) -> nn.Conv2d:
    """weight (out, in/groups, kh, kw)."""
    w = tensor(weight)
    layer = nn.Conv2d(w.shape[1] * options.get("groups", 1), w.shape[0], tuple(w.shape[2:]), bias=bias is not None, **options)
    return _filled(layer, weight=w, **({} if bias is None else {"bias": tensor(bias)}))


def pointwise(rows: Any, bias: Any = None) -> nn.Conv2d:
    """A 1x1 convolution with the given (out, in) matrix."""
    return conv(np.asarray(rows, dtype=np.float64)[:, :, None, None], bias)


def norm(gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 0.0, dtype: torch.dtype = torch.float32) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(len(gamma), eps=eps, dtype=dtype)
    return _filled(layer, weight=tensor(gamma, dtype), bias=tensor(beta, dtype), running_mean=tensor(mean, dtype), running_var=tensor(var, dtype))


def _filled(layer: Any, **tensors: torch.Tensor) -> Any:
    with torch.no_grad():
        for name, value in tensors.items():
            getattr(layer, name).copy_(value)
    return layer


def read(columns: int, rows: int = 2) -> np.ndarray:
    """Outgoing weights (rows, columns) that are all different, not zero, short, and add up to no zero."""
    return (np.arange(1, rows * columns + 1).reshape(rows, columns) ** 2 + 1) / 8.0


def net(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers).eval()


def mlp(rows: Any, bias: Any, activation: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Values `0` (hidden), `1` (activation), `2` (output)."""
    return net(linear(rows, bias, dtype), activation, linear(read(len(rows)), [1, 2], dtype))


# -- reduce and compare ---------------------------------------------------------------------


def reduced(model: nn.Module | Network, *example: torch.Tensor, **options: Any) -> Reduction:
    """Reduce; the checker must prove it, and the functions must be equal."""
    found = lumpnet.reduce(model, example if example else None, **options)
    assert isinstance(found.verdict, Proved), found.verdict
    assert found.verdict.claim == "exact"
    assert found.verdict.rounding == found.rounding
    same_function(found.original.graph, found.network.graph, found.rounding)
    if isinstance(model, nn.Module):
        limits = choices(found.original.graph)
        inputs = tuple(
            torch.randn(3, *x.shape[1:], dtype=x.dtype) if limit is None else torch.randint(limit, (3, *x.shape[1:]))
            for x, limit in zip(example, limits, strict=True)
        )
        with torch.no_grad():
            mine, its = model.eval()(*inputs), found.model(*(x.to(d) for x, d in zip(inputs, _dtypes(found), strict=True)))
        for a, b in zip(_several(mine), _several(its), strict=True):
            torch.testing.assert_close(b.to(a.dtype), a, rtol=1e-4, atol=1e-4 * max(1.0, float(a.abs().max())))
    return found


def _dtypes(found: Reduction) -> Any:
    return (getattr(torch, v.dtype) for v in found.network.graph.inputs)


def _several(out: Any) -> Sequence[torch.Tensor]:
    return out if isinstance(out, tuple) else (out,)


def rational_inputs(graph: Graph, seed: int = 0, batch: int = 6) -> dict[str, np.ndarray]:
    """Integers for lookups; else quarters; every other sample with powers of two up to 2^27 among them, so that large biases meet their kinks."""
    rng = np.random.default_rng(seed)
    out = {}
    for value, limit in zip(graph.inputs, choices(graph), strict=True):
        shape = (batch, *(int(d or 0) for d in value.shape[1:]))
        if limit is not None:
            out[value.name] = fractions(rng.integers(limit, size=shape))
            continue
        quarters = rng.integers(-12, 13, size=shape) / 4
        large = rng.choice([-1.0, 1.0], size=shape) * 2.0 ** rng.integers(0, 28, size=shape)
        chosen = np.where((np.arange(batch) % 2 == 0).reshape(-1, *[1] * (len(shape) - 1)), quarters, large)
        exact = np.empty(shape, dtype=object)
        exact.reshape(-1)[:] = [Fraction(v) for v in chosen.reshape(-1).tolist()]
        out[value.name] = exact
    return out


def same_function(one: Graph, two: Graph, rounding: str = "none") -> None:
    """Equal as rationals; close in double precision where there are no rational values or weights were rounded."""
    inputs = rational_inputs(one)
    try:
        mine, its = run(one, inputs), run(two, inputs)
        exact = rounding == "none"
    except NoExactValue:
        mine, its = _in_double(one, inputs), _in_double(two, inputs)
        exact = False
    for name in one.outputs:
        a, b = mine[name], its[name]
        assert a.shape == b.shape
        if exact:
            assert (a == b).all()
        else:
            a, b = a.astype(np.float64), b.astype(np.float64)
            bound = (1e-12 if rounding == "none" else 1e-6) * max(1.0, float(np.abs(a).max()))
            assert np.abs(a - b).max() <= bound


def _in_double(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    model = lower(Network(graph)).double()
    with torch.no_grad():
        known = zip(inputs.values(), choices(graph), strict=True)
        out = model(*(torch.as_tensor(x.astype(np.float64) % 4 if limit is None else x.astype(np.int64)) for x, limit in known))
    return {name: value.numpy() for name, value in zip(graph.outputs, _several(out), strict=True)}


def units(found: Reduction, name: str) -> int:
    """Units of a value in the reduced network, 0 where it has left."""
    names = {v.name for v in found.network.graph.values()}
    if name not in names:
        return 0
    site = next((s for s in sites(found.network.graph) if s.node.name == name), None)
    return site.units if site is not None and site.axis is not None else int(found.network.graph.value(name).shape[1] or 0)


def kinds(found: Reduction) -> dict[str, str]:
    """The kind of every node of the reduced network, by name."""
    return {node.name: node.kind for node in found.network.graph.nodes}


# -- forge ----------------------------------------------------------------------------------


def forged(graph: Graph, claims: Mapping[str, Mapping[int, Merge | Any]], unread: Mapping[str, Sequence[int]] = {}) -> Verdict:
    """The checker on the quotient of a lumping written by hand.

    `claims[value][unit]` is (representative, scale, offset), or the constant that the
    unit is said to be; `unread[value]` are units said to be observed by no output.
    All other units are kept as they are.
    """
    all_sites = sites(graph)
    axes: dict[str, int | None] = {v.name: None for v in graph.inputs} | {s.node.name: s.axis for s in all_sites}
    lumpings, alive = {}, {}
    for value in graph.values():
        n = size(value.shape, axes[value.name])
        keys: list[Any] = list(range(n))
        scale, offset, constants = constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
        for unit, claim in claims.get(value.name, {}).items():
            if isinstance(claim, tuple):
                keys[unit], scale[unit], offset[unit] = claim[0], Fraction(claim[1]), Fraction(claim[2])
            else:
                keys[unit], constants[unit] = None, Fraction(claim)
        lumpings[value.name] = normal_form(keys, scale, offset, constants)
        alive[value.name] = ~np.isin(np.arange(n), list(unread.get(value.name, ())))
    outcome = Outcome(graph, tuple(all_sites), axes, lumpings, alive, alive, 1)
    kept = all_columns(outcome, {})
    quotient = build(outcome, kept)
    files = Network(graph), Network(quotient.graph)
    written = certificate(outcome, kept, (files[0].sha256, files[1].sha256), quotient.rounding, {}, {})
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("g.safetensors", "h.safetensors", "c.json")]
        for path, data in zip(paths, (files[0].data, files[1].data, dumps(written)), strict=True):
            path.write_bytes(data)
        return check_files(*map(str, paths))


def refused(graph: Graph, claims: Mapping[str, Mapping[int, Merge | Any]], unread: Mapping[str, Sequence[int]] = {}) -> None:
    verdict = forged(graph, claims, unread)
    assert isinstance(verdict, Refuted), verdict


def accepted(graph: Graph, claims: Mapping[str, Mapping[int, Merge | Any]], unread: Mapping[str, Sequence[int]] = {}) -> None:
    """The control of a forgery: the same construction passes when the claim is true."""
    verdict = forged(graph, claims, unread)
    assert isinstance(verdict, Proved), verdict
