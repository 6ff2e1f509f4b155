"""Traps about positions: zero padding breaks offsets, pooling counts padding, and windows reach over the edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from trap import accepted, conv, net, pointwise, reduced, refused, units

SIZE = (4, 5)
X = torch.zeros(2, 2, *SIZE)


def kernel(out: int, columns: int, taps: np.ndarray) -> np.ndarray:
    """(out, columns, *taps.shape): different weights for every pair, zero where `taps` is."""
    scale = (np.arange(1, out * columns + 1) ** 2).reshape(out, columns, 1, 1) / 8
    return scale * taps


def constant_behind(last: nn.Module) -> nn.Sequential:
    """Channel 1 is the constant 3 before `last`; values `0`, `1`, `2`."""
    return net(pointwise([[1, 2], [0, 0], [3, -1]], [1, 3, 0]), nn.ReLU(), last)


FULL, CENTRE = np.arange(1.0, 10.0).reshape(3, 3), np.array([[0, 0, 0], [0, 5.0, 0], [0, 0, 0]])
LOWER_RIGHT = np.array([[0, 0, 0], [0, 5.0, 7.0], [0, 2.0, 3.0]])
BORDERS = {
    "padding, border taps": (FULL, {"padding": 1}, False),
    "padding, centre tap": (CENTRE, {"padding": 1}, True),
    "no padding": (FULL, {"padding": 0}, True),
    "stride 2 reaches the far edge in one axis": (LOWER_RIGHT, {"padding": 1, "stride": 2}, False),
    "stride 2, last taps inside in one axis": (np.array([[0, 0, 0], [0, 5.0, 0], [0, 2.0, 0]]), {"padding": 1, "stride": (2, 2)}, True),
    "the same taps with stride 1": (np.array([[0, 0, 0], [0, 5.0, 0], [0, 2.0, 0]]), {"padding": 1, "stride": 1}, False),
    "padding in one axis, taps in the other": (np.array([[0, 0, 0], [1, 5.0, 2], [0, 0, 0]]), {"padding": (1, 0)}, True),
    "padding in the axis of the taps": (np.array([[0, 0, 0], [1, 5.0, 2], [0, 0, 0]]), {"padding": (0, 1)}, False),
    "dilation 2, padding 2": (FULL, {"padding": 2, "dilation": 2}, False),
    "dilation 2, no padding": (FULL[:2, :2], {"padding": 0, "dilation": 2}, True),
    "a minus zero at the border": (np.where(CENTRE != 0, CENTRE, -0.0), {"padding": 1}, True),
    "one subnormal border tap": (CENTRE + np.array([[2.0**-140, 0, 0], [0, 0, 0], [0, 0, 0]]), {"padding": 1}, False),
}


@pytest.mark.parametrize("name", BORDERS)
def test_a_constant_channel_leaves_iff_no_tap_sees_the_border(name):
    """A constant through zero padding is another number at the border."""
    taps, options, leaves = BORDERS[name]
    model = constant_behind(conv(kernel(2, 3, taps), [1, 2], **options))
    found = reduced(model, X)
    assert units(found, "0") == (2 if leaves else 3)
    claim = {1: 3}
    (accepted if leaves else refused)(found.original.graph, {"0": claim, "1": claim})


def test_zero_passes_any_padding():
    model = net(pointwise([[1, 2], [0, 0], [3, -1]], [1, -3, 0]), nn.ReLU(), conv(kernel(2, 3, FULL), [1, 2], padding=1))
    assert units(reduced(model, X), "0") == 2


def test_constants_that_stay_are_one_unit():
    """Constants 3, 6 and -3 behind padding are multiples of one channel."""
    model = net(pointwise([[1, 2], [0, 0], [0, 0], [0, 0]], [1, 3, 6, -3]), conv(kernel(2, 4, FULL), padding=1))
    assert units(reduced(model, X), "0") == 2


def test_an_offset_through_zero_padding():
    """sigmoid(-u) = 1 - sigmoid(u), but the padding is 0 in both channels."""
    for padding, left in ((1, 2), (0, 1)):
        model = net(pointwise([[1, 2], [-1, -2]], [1, -1]), nn.Sigmoid(), conv(kernel(2, 2, FULL), padding=padding))
        found = reduced(model, X)
        assert units(found, "0") == left
        claims = {"0": {1: (0, -1, 0)}, "1": {1: (0, -1, 1)}}
        (accepted if left == 1 else refused)(found.original.graph, claims)


def test_scales_pass_any_padding():
    model = net(pointwise([[1, 2], [2, 4]], [1, 2]), nn.ReLU(), conv(kernel(2, 2, FULL), padding=1))
    assert units(reduced(model, X), "0") == 1


def test_depthwise_constants_meet_the_border():
    """A depthwise convolution with padding makes border pixels of a constant channel; with its centre tap only it does not."""
    for taps, left in ((FULL, 3), (CENTRE, 2)):
        spread = conv(kernel(3, 1, taps), [1, 2, 3], padding=1, groups=3)
        model = net(pointwise([[1, 2], [0, 0], [3, -1]], [1, 3, 0]), nn.ReLU(), spread, nn.ReLU(), pointwise([[1, 2, 3], [4, 5, 7]]))
        assert units(reduced(model, X), "0") == left


def test_depthwise_duplicates_need_equal_taps():
    """Equal channels with proportional taps stay together, others come apart."""
    for second, left in ((2 * FULL, 1), (FULL + CENTRE, 2)):
        spread = conv(np.stack([FULL, second])[:, None], [1, 2], padding=1, groups=2)
        model = net(pointwise([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), spread, nn.ReLU(), pointwise([[1, 2], [4, 5]]))
        found = reduced(model, X)
        assert (units(found, "0"), units(found, "2")) == ((1, 1) if left == 1 else (2, 2))


def grouped(third: float) -> nn.Sequential:
    """Three groups of two channels; groups 0 and 2 are alike but for one weight, which is 1 in group 0; nobody reads group 1."""
    weight = kernel(6, 2, FULL)
    weight[4:], weight[0, 0, 0, 0], weight[4, 0, 0, 0] = weight[:2], 1, third
    into = pointwise([[1, 2], [3, 1], [1, 1], [0, 1], [1, 2], [3, 1]], [1, 0, 2, 3, 1, 0])
    return net(into, nn.ReLU(), conv(weight, [1, 2, 3, 4, 1, 2], padding=1, groups=3), nn.ReLU(), pointwise([[1, 2, 0, 0, 3, 5]]))


def test_groups_merge_and_leave_whole():
    found = reduced(grouped(1), X)
    assert (units(found, "0"), units(found, "2")) == (2, 2)
    found = reduced(grouped(2), X)
    assert (units(found, "0"), units(found, "2")) == (4, 4), "one differing weight keeps the whole group"


def test_equal_channels_inside_a_group_stay():
    """The reduced groups must be of equal size, so channels of one group do not merge."""
    model = net(pointwise([[1, 2]] * 4, [1] * 4), nn.ReLU(), conv(kernel(2, 2, FULL), padding=1, groups=2), nn.ReLU(), pointwise([[1, 2]]))
    assert units(reduced(model, X), "0") == 4


AVERAGES = {
    "padding is counted": ({"kernel_size": 2, "stride": 2, "padding": 1}, False),
    "padding is not counted": ({"kernel_size": 2, "stride": 2, "padding": 1, "count_include_pad": False}, True),
    "no padding": ({"kernel_size": 2, "stride": 2}, True),
    "divisor": ({"kernel_size": 2, "stride": 2, "divisor_override": 3}, False),
    "divisor equal to the window": ({"kernel_size": 2, "stride": 2, "divisor_override": 4}, False),
    "over the edge": ({"kernel_size": 3, "stride": 2, "ceil_mode": True}, True),
    "over the edge of counted padding": ({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, False),
    "overlapping": ({"kernel_size": 3, "stride": 1}, True),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_constants_and_offsets_through_average_pooling(name):
    """The weights of every window must sum to one: counted padding and a divisor break that."""
    options, passes = AVERAGES[name]
    constant = net(pointwise([[1, 2], [0, 0], [3, -1]], [1, 3, 0]), nn.ReLU(), nn.AvgPool2d(**options), pointwise([[1, 2, 3], [4, 5, 7]]))
    found = reduced(constant, X)
    assert units(found, "0") == (2 if passes else 3)
    graph = found.original.graph
    claims = {"0": {1: 3}, "1": {1: 3}, "2": {1: 3}}
    if passes:
        accepted(graph, claims)
    elif name != "divisor equal to the window":  # that claim is true, only no rule says so
        refused(graph, claims)
    mirror = net(pointwise([[1, 2], [-1, -2]], [1, -1]), nn.Sigmoid(), nn.AvgPool2d(**options), pointwise([[1, 2], [4, 5]]))
    assert units(reduced(mirror, X), "0") == (1 if passes else 2)


def test_scales_pass_average_pooling_with_counted_padding():
    model = net(pointwise([[1, 2], [2, 4]], [1, 2]), nn.ReLU(), nn.AvgPool2d(3, 2, 1), pointwise([[1, 2], [4, 5]]))
    assert units(reduced(model, X), "0") == 1


def test_a_maximum_is_not_odd():
    """tanh(-u) = -tanh(u) merges through an average, not through a maximum."""
    for pool, left in ((nn.AvgPool2d(2), 1), (nn.MaxPool2d(2), 2), (nn.AdaptiveAvgPool2d(2), 1), (nn.AdaptiveMaxPool2d(2), 2)):
        model = net(pointwise([[1, 2], [-1, -2]], [1, -1]), nn.Tanh(), pool, pointwise([[1, 2], [4, 5]]))
        found = reduced(model, X)
        assert units(found, "0") == left
        claim = {1: (0, -1, 0)}
        (accepted if left == 1 else refused)(found.original.graph, {"0": claim, "1": claim, "2": claim})


def test_positive_rows_pass_a_maximum_with_padding():
    """Max pooling pads with minus infinity: positive scales, offsets and constants pass."""
    model = net(pointwise([[1, 2], [2, 4], [0, 0], [1, 2]], [1, 2, 3, 5]), nn.MaxPool2d(3, 2, 1), pointwise([[1, 2, 3, 4], [4, 5, 6, 9]]))
    assert units(reduced(model, X), "0") == 1


def test_a_maximum_over_the_edge():
    model = net(pointwise([[1, 2], [2, 4], [0, 0]], [1, 2, -3]), nn.MaxPool2d(2, 2, 1, ceil_mode=True), pointwise([[1, 2, 3], [4, 5, 6]]))
    assert units(reduced(model, X), "0") == 1


def test_a_dilated_maximum_over_the_edge():
    model = net(pointwise([[1, 2], [2, 4], [0, 0]], [1, 2, -3]), nn.MaxPool2d(2, 1, 1, dilation=3), pointwise([[1, 2, 3], [4, 5, 6]]))
    assert units(reduced(model, X), "0") == 1


def test_flattened_positions_keep_their_columns():
    """A duplicate channel whose columns differ from position to position still merges: columns add up position by position."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-32, 32, size=(3, 2 * 20)) / 8.0
    last = nn.Linear(40, 3)
    with torch.no_grad():
        last.weight.copy_(torch.tensor(weight))
    found = reduced(net(pointwise([[1, 2], [0.5, 1]], [1, 0.5]), nn.ReLU(), nn.Flatten(), last), X)
    assert units(found, "0") == 1
    got = found.network.graph.tensors["3.weight"]
    assert (got == weight[:, :20] + weight[:, 20:] / 2).all()


def test_flattened_positions_that_nobody_reads_keep_the_channel():
    """One position read is the whole channel read."""
    last = nn.Linear(40, 2, bias=False)
    with torch.no_grad():
        last.weight.zero_()
        last.weight[0, 0], last.weight[1, 27] = 1, 1
    found = reduced(net(pointwise([[1, 2], [3, 1]], [1, 0.5]), nn.ReLU(), nn.Flatten(), last), X)
    assert units(found, "0") == 2
