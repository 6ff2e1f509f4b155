"""How a bound is dealt out to the operators and units by which two networks differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lumpnet
from lumpnet import Box
from lumpnet.audit.result import Source
from lumpnet.ir import Graph
from tests.audit.networks import HOW, box_of, pair_of
from tests.bounds.cases import RELU, chain, linear


def audited(one: Graph, two: Graph, **options: Any) -> lumpnet.Audit:
    return lumpnet.audit(lumpnet.Network(one), lumpnet.Network(two), **({"domain": Box(-1, 1), "timeout": 0.2, "jobs": 1} | options))


@pytest.mark.parametrize("family", ["mlp", "resnet"])
def test_shares_sum_to_the_bound(rng: np.random.Generator, family: str) -> None:
    for how in HOW:
        one, two = pair_of(rng, family, how)
        found = audited(one, two, domain=box_of(rng, one))
        shares = [source.share for source in found.residuals]
        if found.upper_bound is None or found.upper_bound < 1e-9:  # nothing but margins of rounding, which are nobody's
            assert found.upper_bound or not any(shares)
            continue
        assert None not in shares
        assert sum(s or 0 for s in shares) == pytest.approx(found.upper_bound, rel=1e-9)
        assert shares == sorted(shares, key=lambda s: -(s or 0))
        for source in found.residuals:
            assert sum(share for _, share in source.worst) <= (source.share or 0) * (1 + 1e-9)


def test_a_cap_has_the_share_of_what_it_cuts() -> None:
    """The difference of two softmaxes is bounded by constants only, whatever goes into them; twice as much goes in by the second layer."""
    first, second = np.eye(3), np.eye(3)
    graphs = [
        chain([3], linear(first, [a, 0.0, 0.0]), linear(second, [0.0, 2 * a, 0.0]), ("softmax", {"axis": 1}, {}), linear([[1.0, 0.0, 0.0]])) for a in (0.0, 0.1)
    ]
    found = audited(*graphs)
    assert found.upper_bound is not None
    shares = {source.operator: source.share or 0.0 for source in found.residuals}
    assert shares["v0"] > 0
    assert shares["v1"] == pytest.approx(2 * shares["v0"], rel=1e-4)
    assert sum(shares.values()) == pytest.approx(found.upper_bound)


def test_only_what_differs_has_a_share(rng: np.random.Generator) -> None:
    layers = [(rng.normal(size=(5, 4)), rng.normal(size=5)), (rng.normal(size=(6, 5)), rng.normal(size=6)), (rng.normal(size=(2, 6)), rng.normal(size=2))]
    for place, unit in ((0, 3), (1, 5), (2, 1)):
        graphs = []
        for move in (0.0, 0.5):
            steps: list[Any] = []
            for k, (w, b) in enumerate(layers):
                row = np.zeros(len(b))
                row[unit if k == place else 0] = move * (k == place)
                steps += [linear(w, b + row), RELU]
            graphs.append(chain([4], *steps[:-1]))
        found = audited(*graphs)
        (source,) = found.residuals
        assert source.operator == f"v{2 * place}"
        assert source.change is not None
        assert source.change.units == (unit,)
        if (found.upper_bound or 0) < 1e-9:  # behind a function that is flat on all of the box
            assert not source.worst
            continue
        assert [k for k, _ in source.worst] == [unit]
        assert source.worst[0][1] == pytest.approx(source.share)


def test_the_larger_change_has_the_larger_share(rng: np.random.Generator) -> None:
    """Two channels into one sum, one of them moved ten times as far."""
    w = np.ones((2, 1))
    one, two = (chain([1], linear(w, b), RELU, linear([[1.0, 1.0]])) for b in ([5.0, 5.0], [5.5, 5.05]))
    (source,) = audited(one, two).residuals
    (first, most), (second, less) = source.worst
    assert (first, second) == (0, 1)
    assert most == pytest.approx(0.5, rel=1e-4)
    assert less == pytest.approx(0.05, rel=1e-4)
    assert str(source).startswith("v0: 0.551, most by unit 0 (0.501) and 1 (0.0501), units 0, 1 (")


def test_without_a_bound_there_are_no_shares() -> None:
    """Beyond all floats."""
    one, two = (chain([1], linear([[w]]), linear([[1e200]]), linear([[1e200]]), dtype="float64") for w in (1.0, 2.0))
    found = audited(one, two)
    assert found.upper_bound is None
    assert [source.share for source in found.residuals] == [None]
    assert str(found.residuals[0]).startswith("v0, unit 0 (weights changed")


def test_a_source_as_json() -> None:
    assert Source("a", 0.5, None, ((3, 0.25),)).as_dict() == {
        "operator": "a", "share": 0.5, "share_by_unit": [{"unit": 3, "share": 0.25}], "units": [], "removed": 0, "weights": 0.0,
    }  # fmt: skip
