"""Flaws that were found once, one test each."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from lumpnet.audit.boxes import Boxes, cut
from lumpnet.audit.matching import matched, residuals
from lumpnet.audit.search import Search
from lumpnet.bounds.relaxed import Program, Units, both, evaluate, pair, relaxations, tape, upper
from lumpnet.bounds.relaxed.maps import Dense, Gather
from lumpnet.bounds.relaxed.program import Affine, Input, Node
from lumpnet.ir import Graph
from lumpnet.testing.draft import Draft
from tests.bounds.cases import RELU, chain, linear


def program(one: Graph, two: Graph) -> Program:
    return pair(tape(one), tape(two), matched(one, two))


def bounds(one: Graph, two: Graph, low: float = -1.0, high: float = 1.0) -> tuple[float, float]:
    p = program(one, two)
    box = tuple(torch.full((1, p.nodes[p.inputs[0]].size), end, dtype=torch.float64) for end in (low, high))
    target = p.outputs[0]
    if target is None:
        return 0.0, 0.0
    (lo, hi), _ = both(p, evaluate(p, [box]), target)
    return float(lo.min()), float(hi.max())


def test_functions_that_share_a_kind_are_not_taken_for_one() -> None:
    """gelu has two forms, softmax an axis."""
    one, two = (chain([3], linear(np.eye(3)), ("gelu", {"approximate": form}, {})) for form in ("none", "tanh"))
    low, high = bounds(one, two, -2, 2)
    assert high - low > 1e-4
    one, two = (chain([2, 3], ("softmax", {"axis": axis}, {})) for axis in (1, 2))
    low, high = bounds(one, two)
    assert high >= 1 / 2 - 1 / 3


def test_functions_of_another_kind_do_not_share_a_relaxation() -> None:
    one, two = chain([1], linear([[1.0]]), ("tanh", {}, {})), chain([1], linear([[1.0]]), ("sigmoid", {}, {}))
    p = pair(tape(one), tape(two), {"v0": ("v0", None), "v1": ("v1", None)})
    box = (torch.tensor([[0.0]], dtype=torch.float64),) * 2
    (low, high), _ = both(p, evaluate(p, [box]), p.outputs[0] or 0)
    assert low <= np.tanh(0) - 0.5 <= high


def swapped() -> tuple[Graph, Graph]:
    graphs = []
    for order in ((0, 1), (1, 0)):
        draft = Draft({"x": (None, 1)})
        parts = [draft.add("linear", ["x"], weight=np.array([[w]])) for w in (1.0, 3.0)]
        draft.outputs.append(draft.add("concat", [parts[k] for k in order], {"axis": 1}))
        graphs.append(draft.freeze())
    return graphs[0], graphs[1]


def test_operands_in_another_order_are_not_the_same_operator() -> None:
    one, two = swapped()
    low, high = bounds(one, two)
    assert high >= 2
    assert low <= -2


def test_a_bias_that_is_summed_over_many_entries_has_a_margin_for_all_of_them() -> None:
    """A sum of n products errs by n u, also where the map in front of it has one product a row."""
    n = 20_000
    bias = torch.full((n,), 2.0**-53, dtype=torch.float64)
    bias[0] = 1.0
    nodes = [Input(n, "x"), Affine(n, (0,), (Gather(torch.arange(n), n),), bias, torch.zeros(n, dtype=torch.float64))]
    p = Program(nodes, [0], [1])
    zero = torch.zeros(1, n, dtype=torch.float64)
    ones = torch.ones(1, 1, n, dtype=torch.float64)
    above = upper(p, evaluate(p, [(zero, zero)]), 1, ones).bound
    assert Fraction(float(above)) >= 1 + Fraction(n - 1, 2**53)


def test_what_is_cut_off_counts_in_the_upper_end() -> None:
    """Children are what is left of a box; of the rest it is only known that it does not pass the bar."""

    class Cutting(Search):
        def children(self, boxes: Boxes, bar: float) -> Boxes:
            left = super().children(boxes, bar)
            left.bound = torch.zeros_like(left.bound)  # as if all that matters had been cut off
            return left

    one, two = chain([1], linear([[1.0]]), RELU), chain([1], linear([[2.0]]), RELU)
    search = Cutting(program(one, two), lambda x, steps: (0.0, x[0]), goal=0.75)
    low, high = torch.tensor([-1.0], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64)
    assert search.run(low, high, 5).upper >= 0.75


def test_a_linear_bound_cuts_by_its_own_height() -> None:
    """Where an interval is the better bound, the line's own coefficients reach as far as the line is high: bound 1.1, line 10 - distance, bar 1."""
    low, high = torch.tensor([[-1.0]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
    line = torch.tensor([[10.0, 10.0]], dtype=torch.float64)
    ones = torch.ones(1, 2, 1, dtype=torch.float64)
    bound, none = torch.tensor([[1.1, 0.0]], dtype=torch.float64), torch.full((1,), -1)
    begin, end = cut(Boxes(low, high, bound, line, ones, ones, none, torch.zeros(1, 3)), 1.0)
    assert begin <= -1
    assert end >= 1


def test_a_product_that_underflows_is_not_zero() -> None:
    """2^-1074 is the change of a weight, and the input at most 1/4."""
    least = 2.0**-1074
    one, two = (chain([1], linear([[w]]), dtype="float64") for w in (least, 0.0))
    assert bounds(one, two, 0.0, 0.25)[1] > 0
    small = torch.full((1, 1), 2.0**-600, dtype=torch.float64)
    (low, high), _ = relaxations.product((small, small), (small, small))
    assert float(low) <= 0 < float(high)
    tiny = torch.full((1, 1), least, dtype=torch.float64)
    (low, high), _ = relaxations.curve_difference(np.tanh, "tanh", (tiny, tiny), (0 * tiny + 5, 0 * tiny + 6))
    assert float(low) <= 0 < float(high)


def test_a_value_with_many_readers_has_a_margin_for_all_of_them() -> None:
    """Their coefficients are added up one by one: 1, and then halves of its last bit, all of which are lost."""
    readers = 400
    zero = torch.zeros(1, dtype=torch.float64)
    weights = [2.0**-53] * readers
    weights[-1] = 1.0
    nodes: list[Node] = [Input(1, "x"), Affine(1, (), (), zero, zero)]
    one = Dense(torch.ones(1, 1, dtype=torch.float64))
    for k, w in enumerate(weights):
        nodes.append(Affine(1, (k + 1, 0), (one, Dense(torch.full((1, 1), w, dtype=torch.float64))), zero, zero))
    p, point = Program(nodes, [0], [readers + 1]), torch.ones(1, 1, dtype=torch.float64)
    above = upper(p, evaluate(p, [(point, point)]), readers + 1, torch.ones(1, 1, 1, dtype=torch.float64)).bound
    assert Fraction(float(above)) >= 1 + Fraction(readers - 1, 2**53)


def test_relations_of_units_pass_a_max_pool() -> None:
    """A duplicated channel, one of them halved, is removed: what is left is rounding, through windows of three by three."""
    rng = np.random.default_rng(0)
    window = {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "dilation": [1, 1], "ceil_mode": False}
    conv = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
    w, v = rng.integers(-8, 9, size=(2, 1, 3, 3)) / 8.0, rng.integers(-8, 9, size=(2, 3, 3, 3)) / 8.0
    one = chain([1, 5, 5], ("conv", conv, {"weight": np.concatenate([w, w[:1] / 2])}), RELU, ("max_pool", window, {}), ("conv", conv, {"weight": v}))
    less = v[:, :2] + np.stack([v[:, 2] / 2, 0 * v[:, 2]], 1)
    two = chain([1, 5, 5], ("conv", conv, {"weight": w}), RELU, ("max_pool", window, {}), ("conv", conv, {"weight": less}))
    units = Units(np.array([0, 1, 0]), np.array([1.0, 1.0, 0.5]), np.zeros(3))
    p = pair(tape(one), tape(two), {"v0": ("v0", units), "v1": ("v1", units), "v2": ("v2", units), "v3": ("v3", None)})
    box = tuple(torch.full((1, 25), end, dtype=torch.float64) for end in (-1.0, 1.0))
    (low, high), _ = both(p, evaluate(p, [box]), p.outputs[0] or 0)
    assert float(high.max() - low.min()) < 1e-10


def test_units_do_not_relate_values_of_other_sizes() -> None:
    """Equally many channels, on maps of another size: taken as unmatched."""
    conv = {"padding": [1, 1], "dilation": [1, 1], "groups": 1}
    mean, weight = ("mean", {"axes": [2, 3], "keepdim": False}, {}), np.ones((2, 1, 3, 3))
    one, two = (chain([1, 4, 4], ("conv", conv | {"stride": [s, s]}, {"weight": weight}), mean) for s in (1, 2))
    units = Units(np.array([0, 1]), np.ones(2), np.zeros(2))
    p = pair(tape(one), tape(two), {"v0": ("v0", units), "v1": ("v1", None)})
    box = tuple(torch.full((1, 16), end, dtype=torch.float64) for end in (1.0, 1.0))
    (low, high), _ = both(p, evaluate(p, [box]), p.outputs[0] or 0)
    exact = 100 / 16 - 25 / 4  # the sums of ones in the windows, on average
    assert float(low.min()) <= exact <= float(high.max())


def test_a_grouped_transposed_convolution_is_compared_by_the_units_it_makes() -> None:
    """Four channels become six, in two groups: the tensor has as many rows as channels that are read."""
    attrs = {"stride": [1, 1], "padding": [0, 0], "output_padding": [0, 0], "dilation": [1, 1], "groups": 2}
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 3, 2, 2)), rng.normal(size=6)
    moved = weight.copy()
    moved[2:, 1] += 1  # the fifth of the units made: the second of the second group
    one, two = (chain([4, 3, 3], ("conv_transpose", attrs, {"weight": w, "bias": bias})) for w in (weight, moved))
    (found,) = residuals(one, two, matched(one, two))
    assert found.units == (4,)
    assert found.weights == pytest.approx(8, rel=1e-5)
