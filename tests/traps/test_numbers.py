"""Traps about numbers: exact means exact, in the last bit, at both ends of the exponent, and where weights would round."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest
import torch
from torch import nn
from trap import accepted, linear, mlp, net, read, reduced, refused, tensor, units

import lumpnet
from lumpnet.errors import LumpnetError, RoundingError
from lumpnet.verdict import Proved

X = torch.zeros(2, 2)


def up(x: float, dtype: type = np.float32) -> float:
    """The next number of the dtype."""
    return float(np.nextafter(dtype(x), dtype(np.inf)))


def test_units_that_differ_in_the_last_bit_are_different_units():
    """Exact equality: no tolerance, not even one unit in the last place."""
    found = reduced(mlp([[0.3, 0.7], [0.3, up(0.7)]], [0.5, 0.5], nn.ReLU()), X)
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": {1: (0, 1, 0)}, "1": {1: (0, 1, 0)}})
    same = reduced(mlp([[0.3, 0.7], [0.3, 0.7]], [0.5, 0.5], nn.ReLU()), X)
    assert units(same, "0") == 1
    accepted(same.original.graph, {"0": {1: (0, 1, 0)}, "1": {1: (0, 1, 0)}})


def test_biases_that_differ_in_the_last_bit_are_different_units():
    found = reduced(mlp([[0.3, 0.7], [0.3, 0.7]], [0.5, up(0.5)], nn.ReLU()), X)
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": {1: (0, 1, 0)}, "1": {1: (0, 1, 0)}})


@pytest.mark.parametrize("rho", [3.0, 7.0, 0.1])
@pytest.mark.parametrize("row", [(0.25, -1.5, 0.5), (0.3, -1.7, 0.9), (1.0, 2.0, 4.0), (1.0, 3.0, 5.0)])
def test_rounded_multiples_merge_only_where_nothing_was_rounded(rho, row):
    """`fl(rho w)` is proportional to w exactly where fl did nothing, or the same, to every entry."""
    w = np.array(row, dtype=np.float32)
    t = (np.float64(rho) * w).astype(np.float32)
    proportional = len({F(float(b)) / F(float(a)) for a, b in zip(w, t, strict=True)}) == 1
    found = reduced(mlp([w[:2], t[:2]], [w[2], t[2]], nn.ReLU()), X)
    assert units(found, "0") == (1 if proportional else 2)
    claim = {1: (0, F(float(t[0])) / F(float(w[0])), 0)}
    (accepted if proportional else refused)(found.original.graph, {"0": claim, "1": claim})


def test_rounded_multiples_are_a_trap_on_both_sides():
    """Among the cases above some merge and some do not, for each rho that is a whole number."""
    for rho in (3.0, 7.0):
        w = np.array([0.3, -1.7, 0.9], dtype=np.float32)
        assert any(F(float(b)) != F(rho) * F(float(a)) for a, b in zip(w, (rho * w.astype(np.float64)).astype(np.float32), strict=True))


def test_large_biases_hide_a_slope():
    """relu(x + 2^25) and relu(x/2 + 2^25) are equal floats on [-1, 1], and different functions."""
    model = mlp([[1.0, 0.0], [0.5, 0.0]], [2.0**25, 2.0**25], nn.ReLU())
    x = torch.linspace(-1, 1, 101)[:, None].repeat(1, 2)
    with torch.no_grad():
        hidden = model[1](model[0](x))
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    found = reduced(model, X)
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": {1: (0, 1, 0)}, "1": {1: (0, 1, 0)}})
    halved = reduced(mlp([[1.0, 0.0], [0.5, 0.0]], [2.0**25, 2.0**24], nn.ReLU()), X)
    assert units(halved, "0") == 1


def test_minus_zero_is_zero():
    """-0.0 and 0.0 are one rational, as weights and as biases."""
    found = reduced(mlp([[0.0, 1.0], [-0.0, 1.0]], [-0.0, 0.0], nn.ReLU()), X)
    assert units(found, "0") == 1
    assert found.totals() == {"equal": 1}


def test_minus_zero_weights_read_nothing():
    model = mlp([[0.5, 1.0], [0.25, 1.0]], [1, 2], nn.ReLU())
    with torch.no_grad():
        model[2].weight[:, 1] = -0.0
    found = reduced(model, X)
    assert units(found, "0") == 1
    assert found.totals() == {"unobserved": 1}


def test_subnormal_duplicates_merge():
    tiny = 2.0**-149
    found = reduced(mlp([[tiny, 3 * tiny], [tiny, 3 * tiny], [2 * tiny, 6 * tiny]], [0, 0, 0], nn.ReLU()), X)
    assert units(found, "0") == 1


def test_halving_a_subnormal_rounds():
    """Half of (2, 3) * 2^-149 is stored as (1, 2) * 2^-149: no multiple."""
    tiny = 2.0**-149
    row = np.array([2 * tiny, 3 * tiny], dtype=np.float32)
    half = row / np.float32(2)
    assert half.tolist() == [tiny, 2 * tiny]
    found = reduced(mlp([row, half], [0, 0], nn.ReLU()), X)
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": {1: (0, F(1, 2), 0)}, "1": {1: (0, F(1, 2), 0)}})


def test_the_representative_is_chosen_so_that_nothing_underflows():
    """Read with 2^-149, a scale of 1/2 would underflow; the other member as representative has scale 2."""
    model = net(linear([[1, 3], [0.5, 1.5]], [1, 0.5]), nn.ReLU(), linear([[2.0**-149, 2.0**-149], [1, 1]]))
    found = reduced(model, X, require="exact")
    assert units(found, "0") == 1
    assert found.rounding == "none"
    assert found.network.graph.tensors["2.weight"].min() == 3 * 2.0**-149


def test_a_merged_sum_that_overflows_is_declined():
    """3e38 + 3e38 is no float32: the merge is declined, and float64 has room for it."""
    model = net(linear([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), linear([[3e38, 3e38], [1, 2]]))
    found = reduced(model, X)
    assert units(found, "0") == 2
    assert found.rounding == "none"
    assert units(reduced(model, X, dtype="float64"), "0") == 1


def test_a_folded_constant_that_overflows_is_declined():
    model = net(linear([[0, 0], [1, 2]], [3e38, 1]), nn.ReLU(), linear([[100, 1], [1, 2]], [0, 0]))
    found = reduced(model, X)
    assert units(found, "0") == 2
    assert units(reduced(model, X, dtype="float64"), "0") == 1


def test_class_sums_are_exact():
    """0.02 + 1e-12 rounds to 0.02 in float32 and is another number: rows over a merged pair are told apart by it."""
    a, b = float(np.float32(0.02)), float(np.float32(1e-12))
    assert np.float32(a) + np.float32(b) == np.float32(a)
    second = [[a, b], [b, a], [a, 0.0], [up(a), b]]
    model = net(linear([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), linear(second, [1, 1, 1, 1]), nn.ReLU(), linear(read(4)))
    found = reduced(model, X)
    assert (units(found, "0"), units(found, "2")) == (1, 3)
    pair = {1: (0, 1, 0)}
    accepted(found.original.graph, {"0": pair, "1": pair, "2": pair, "3": pair})
    refused(found.original.graph, {"0": pair, "1": pair, "2": {2: (0, 1, 0)}, "3": {2: (0, 1, 0)}})
    refused(found.original.graph, {"0": pair, "1": pair, "2": {3: (0, 1, 0)}, "3": {3: (0, 1, 0)}})


def test_units_that_cancel_are_unobserved_once_merged():
    """relu(u) - relu(u): merge, then nobody reads the class."""
    model = net(linear([[1, 2], [1, 2], [3, 4]], [1, 1, 1]), nn.ReLU(), linear([[5, -5, 1], [-2, 2, 1]]))
    found = reduced(model, X)
    assert units(found, "0") == 1
    assert found.totals() == {"cancelled": 2}
    pair = {1: (0, 1, 0)}
    accepted(found.original.graph, {"0": pair, "1": pair}, {"0": [0, 1], "1": [0, 1]})
    refused(found.original.graph, {"0": pair, "1": pair}, {"0": [2], "1": [2]})


def test_almost_cancelling_is_observed():
    model = net(linear([[1, 2], [1, 2], [3, 4]], [1, 1, 1]), nn.ReLU(), linear([[5, -up(5), 1], [-2, 2, 1]]))
    found = reduced(model, X)
    assert units(found, "0") == 2
    pair = {1: (0, 1, 0)}
    refused(found.original.graph, {"0": pair, "1": pair}, {"0": [0, 1], "1": [0, 1]})


def test_constants_that_round_are_declined_on_request():
    """0.1 * 0.1 has no float32: require="exact" keeps the unit and says how many it keeps so."""
    model = net(linear([[0, 0], [1, 2]], [0.1, 1]), nn.ReLU(), linear([[0.1, 1], [0.1, 2]], [0.1, 0.3]))
    loose = reduced(model, X)
    assert (units(loose, "0"), loose.rounding, loose.declined) == (1, "bounded", 0)
    strict = reduced(model, X, require="exact")
    assert (units(strict, "0"), strict.rounding, strict.declined) == (2, "none", 1)
    assert "declined because a weight would have been rounded: 1 more" in str(strict)


def test_only_the_merges_that_round_are_declined():
    """Two pairs of twins: one sum is exact, the other is not."""
    rows = [[1, 2], [1, 2], [3, -1], [3, -1]]
    model = net(linear(rows, [1, 1, 1, 1]), nn.ReLU(), linear([[1, 2, 0.1, 1], [3, 4, 0.3, 100]]))
    strict = reduced(model, X, require="exact")
    assert (units(strict, "0"), strict.rounding, strict.declined) == (3, "none", 1)
    loose = reduced(model, X)
    assert (units(loose, "0"), loose.rounding) == (2, "bounded")


def test_merging_reveals_merging():
    """(1, 2) and (2, 1) are the same row once the two columns are one class."""
    second = [[1, 2], [2, 1], [0, 3], [1, 3]]
    model = net(linear([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), linear(second, [1, 1, 1, 1]), nn.ReLU(), linear(read(4)))
    found = reduced(model, X)
    assert (units(found, "0"), units(found, "2")) == (1, 2)


def test_merging_reveals_constants():
    """(1, -1) over twins is the zero row: a constant unit."""
    model = net(linear([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), linear([[1, -1], [2, 1]], [3, 1]), nn.ReLU(), linear(read(2)))
    found = reduced(model, X)
    assert (units(found, "0"), units(found, "2")) == (1, 1)


def test_a_network_of_constants_still_works():
    """All hidden units are constant: the outputs are too, and the network keeps its interface."""
    found = reduced(mlp([[0, 0], [0, 0], [0, 0]], [1, -2, 3], nn.ReLU()), X)
    assert units(found, "2") == 2
    out = found.model(torch.randn(5, 2))
    assert out.shape == (5, 2)
    assert (out == out[0]).all()


def test_a_network_that_reads_nothing_still_works():
    model = mlp([[1, 2], [3, 4]], [1, 2], nn.ReLU())
    with torch.no_grad():
        model[2].weight.zero_()
    found = reduced(model, X)
    assert units(found, "0") <= 1
    assert torch.equal(found.model(torch.randn(4, 2)), torch.tensor([[1.0, 2.0]]).repeat(4, 1))


def test_double_networks_are_told_apart_in_double():
    """Rows that agree in float32 and differ in float64 are different units of a float64 network."""
    rows = [[0.3, 0.7], [0.3, up(0.7, np.float64)], [0.3, 0.7]]
    assert np.float32(rows[0][1]) == np.float32(rows[1][1])
    found = reduced(mlp(rows, [0.5, 0.5, 0.5], nn.ReLU(), torch.float64), X.double())
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": {1: (0, 1, 0)}, "1": {1: (0, 1, 0)}})


def test_wider_weights_hold_sums_that_narrow_ones_round():
    """0.1 + 2^20 needs more bits than a float32 has; dtype="float64" emits it exactly."""
    model = net(linear([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), linear([[0.1, 2.0**20], [1, 1]]))
    assert reduced(model, X).rounding == "bounded"
    wide = reduced(model, X, require="exact", dtype="float64")
    assert (units(wide, "0"), wide.rounding, wide.declined) == (1, "none", 0)
    assert {v.dtype for v in wide.network.graph.values()} == {"float64"}
    assert wide.model(torch.zeros(1, 2, dtype=torch.float64)).dtype == torch.float64


def test_narrow_weights_of_a_double_network():
    """dtype="float32" rounds every stored weight, and the claim says so."""
    model = mlp([[0.1, 0.7], [0.1, 0.7]], [0.5, 0.5], nn.ReLU(), torch.float64)
    found = lumpnet.reduce(model, X.double(), dtype="float32")
    assert isinstance(found.verdict, Proved), found.verdict
    assert (units(found, "0"), found.rounding) == (1, "bounded")
    short = lumpnet.reduce(mlp([[0.5, 0.75], [0.5, 0.75]], [0.5, 0.5], nn.ReLU(), torch.float64), X.double(), dtype="float32")
    assert (units(short, "0"), short.rounding) == (1, "none")


def test_narrow_weights_that_overflow_are_an_error():
    model = mlp([[1e300, 0.7], [0.1, 0.7]], [0.5, 0.5], nn.ReLU(), torch.float64)
    with pytest.raises(RoundingError, match=r"no finite value in the output dtype.*float64"):
        lumpnet.reduce(model, X.double(), dtype="float32")


def test_narrow_batch_norms_are_an_error():
    """The rule for batch norm is about its stored numbers: they may not be rounded."""
    model = net(nn.Linear(2, 2).double(), nn.BatchNorm1d(2).double(), nn.Linear(2, 1).double())
    with torch.no_grad():
        model[1].running_var.fill_(0.1)
    with pytest.raises(RoundingError, match=r"node '1'.*float32"):
        lumpnet.reduce(model, X.double(), dtype="float32")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(bad):
    """The error names the tensor and what it holds."""
    model = mlp([[1, 2], [bad, 2]], [1, 1], nn.ReLU())
    with pytest.raises(LumpnetError, match=r"0\.weight.*(?i:nan|infinite)"):
        lumpnet.reduce(model, X)


def test_networks_as_trained_lose_nothing_and_say_so():
    torch.manual_seed(3)
    model = net(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    found = reduced(model, X)
    assert found.totals() == {}
    assert found.original.size == found.network.size
    assert "nothing (no exact redundancy found)" in str(found)
    assert all(np.array_equal(t, found.original.graph.tensors[name]) for name, t in found.network.graph.tensors.items())


def test_equal_constants_are_one_class_where_they_must_stay():
    """tanh(1) is no rational: constants 1 and 1 stay as one unit, -1 as its negative."""
    found = reduced(mlp([[0, 0], [0, 0], [0, 0], [1, 2]], [1, 1, -1, 1], nn.Tanh()), X)
    assert units(found, "0") == 2


def test_a_reading_weight_of_one_ulp_counts():
    """A weight of 2^-149 is not zero: the unit is observed."""
    model = mlp([[1, 2], [3, 4]], [1, 1], nn.ReLU())
    with torch.no_grad():
        model[2].weight[:, 1] = tensor([2.0**-149, 0])
    found = reduced(model, X)
    assert units(found, "0") == 2
    refused(found.original.graph, {}, {"0": [1], "1": [1]})
