"""Traps about transposed convolutions: which taps an output position reads depends on stride, padding and dilation, in the interior too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trap import accepted, net, pointwise, reduced, refused, tensor, units

X = torch.zeros(2, 2, 3, 4)


def upwards(weight: Any, bias: Any = None, **options: Any) -> nn.ConvTranspose2d:
    """weight (in, out / groups, kh, kw)."""
    w = tensor(weight)
    groups = options.get("groups", 1)
    layer = nn.ConvTranspose2d(w.shape[0], w.shape[1] * groups, tuple(w.shape[2:]), bias=bias is not None, **options)
    with torch.no_grad():
        layer.weight.copy_(w)
        if bias is not None:
            layer.bias.copy_(tensor(bias))
    return layer


def kernel(columns: int, out: int, taps: Any) -> np.ndarray:
    """(columns, out, *taps.shape): different weights for every pair, zero where `taps` is."""
    scale = (np.arange(1, out * columns + 1) ** 2).reshape(columns, out, 1, 1) / 8
    return scale * np.asarray(taps, dtype=float)


ONES, TWO = np.ones((2, 2)), np.array([[1, 2], [3, 4]])
POSITIONS = {
    "every position reads one tap, all equal": (ONES, {"stride": 2}, True),
    "every position reads one tap, they differ": (TWO, {"stride": 2}, False),
    "gaps between the taps": (ONES, {"stride": 3}, False),
    "overlapping at stride one": (ONES, {"stride": 1}, False),
    "overlapping, the border cut away": (TWO, {"stride": 1, "padding": 1}, True),
    "a kernel of one": (np.ones((1, 1)) * 5, {"stride": 1}, True),
    "a kernel of one with stride": (np.ones((1, 1)) * 5, {"stride": 2}, False),
    "output padding beyond the last tap": (ONES, {"stride": 2, "output_padding": 1}, False),
    "two taps in every position of one axis, cut": (np.array([[1, 2, 1], [1, 2, 1]]), {"stride": 2, "padding": (0, 1)}, True),
    "and with one more position": (np.array([[1, 2, 1], [1, 2, 1]]), {"stride": 2, "padding": (0, 1), "output_padding": (0, 1)}, False),
    "sums equal, taps not": (np.array([[1, 3, 2], [1, 3, 2]]), {"stride": 2, "padding": (0, 1)}, True),
    "dilated past each other": (ONES, {"stride": 2, "dilation": 3}, False),
    "dilated into every position": (np.ones((1, 2)), {"stride": (1, 2), "dilation": (1, 1)}, True),
    "one position reads a zero": (np.array([[1, 1], [1, 0]]), {"stride": 2}, False),
    "one last bit apart": (ONES + np.array([[0, 0], [0, 2.0**-23]]), {"stride": 2}, False),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_a_constant_channel_leaves_iff_every_position_gets_the_same(name):
    taps, options, leaves = POSITIONS[name]
    model = net(pointwise([[1, 2], [0, 0], [3, -1]], [1, 3, 0]), nn.ReLU(), upwards(kernel(3, 2, taps), [1, 2], **options))
    found = reduced(model, X)
    assert units(found, "0") == (2 if leaves else 3)
    (accepted if leaves else refused)(found.original.graph, {"0": {1: 3}, "1": {1: 3}})


def test_an_offset_passes_where_a_constant_does():
    """sigmoid(-u) = 1 - sigmoid(u)."""
    for taps, left in ((ONES, 1), (TWO, 2)):
        found = reduced(net(pointwise([[1, 2], [-1, -2]], [1, -1]), nn.Sigmoid(), upwards(kernel(2, 2, taps), stride=2)), X)
        assert units(found, "0") == left
        (accepted if left == 1 else refused)(found.original.graph, {"0": {1: (0, -1, 0)}, "1": {1: (0, -1, 1)}})


def test_rows_are_columns_of_the_stored_weight():
    """Outputs merge by what they read, stored along axis 1; inputs by what makes them, stored along axis 0."""
    weight = kernel(2, 3, TWO)
    weight[:, 1] = 4 * weight[:, 0]
    model = net(pointwise([[1, 2], [2, 4]], [1, 2]), nn.ReLU(), upwards(weight, [1, 4, 5], stride=2), nn.ReLU(), pointwise([[1, 2, 3]]))
    found = reduced(model, X)
    assert (units(found, "0"), units(found, "2")) == (1, 2)
    assert found.network.graph.tensors["2.weight"].shape == (1, 2, 2, 2)
    assert isinstance(found.model.get_submodule("2"), nn.ConvTranspose2d)


def test_rounded_merges_are_marked_by_their_column():
    """A merged weight that is no float32 is declined on request, column by column, although columns are stored along axis 0."""
    weight = kernel(3, 2, TWO)
    weight[1] *= 1 / 3  # 2 * x + x / 3 needs more bits than a float32 has
    model = net(pointwise([[1, 2], [3, 6], [3, 1]], [1, 3, 0]), nn.ReLU(), upwards(weight.astype(np.float32), stride=2))
    loose, exact = reduced(model, X), reduced(model, X, require="exact")
    assert (units(loose, "0"), loose.rounding) == (2, "bounded")
    assert (units(exact, "0"), exact.rounding) == (3, "none")


def test_depthwise_upwards():
    """Channels with proportional taps stay together; a constant leaves where its own taps are even."""
    for second, left in ((2 * TWO, 1), (TWO + ONES, 2)):
        spread = upwards(np.stack([TWO, second])[:, None], [1, 2], stride=2, groups=2)
        found = reduced(net(pointwise([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), spread, nn.ReLU(), pointwise([[1, 2], [4, 5]])), X)
        assert (units(found, "0"), units(found, "2")) == (left, left)
    for taps, left in ((ONES, 2), (TWO, 3)):
        spread = upwards(kernel(3, 1, taps), [1, 2, 3], stride=2, groups=3)
        model = net(pointwise([[1, 2], [0, 0], [3, -1]], [1, 3, 0]), nn.ReLU(), spread, nn.ReLU(), pointwise([[1, 2, 3], [4, 5, 7]]))
        assert units(reduced(model, X), "0") == left


def test_depthwise_upwards_with_a_multiplier():
    """Two outputs a channel, laid out group by group."""
    weight = np.stack([np.stack([TWO, ONES]), 2 * np.stack([TWO, ONES]), np.stack([ONES, TWO])])
    spread = upwards(weight, [1, 2, 2, 4, 5, 6], stride=2, groups=3)
    model = net(pointwise([[1, 2], [1, 2], [3, 1]], [1, 1, 0]), nn.ReLU(), spread, nn.ReLU(), pointwise(np.arange(1, 13).reshape(2, 6)))
    found = reduced(model, X)
    assert (units(found, "0"), units(found, "2")) == (2, 4)


def test_wide_groups_upwards():
    """Groups 0 and 2 are alike; nobody reads group 1; one differing weight keeps them apart."""
    for third, left in ((1.0, 2), (2.0, 4)):
        weight = kernel(6, 2, TWO)
        weight[4:], weight[0, 0, 0, 0], weight[4, 0, 0, 0] = weight[:2], 1, third
        into = pointwise([[1, 2], [3, -1], [5, 1], [1, 1], [1, 2], [3, -1]], [1, 0, 1, 1, 1, 0])
        spread = upwards(weight, [1, 2, 3, 4, 1, 2], stride=2, groups=3)
        found = reduced(net(into, nn.ReLU(), spread, nn.ReLU(), pointwise([[1, 2, 0, 0, 3, 5]])), X)
        assert (units(found, "0"), units(found, "2")) == (left, left)


def test_one_dimension_and_three():
    for size, layer, first in ((3,), nn.ConvTranspose1d, nn.Conv1d), ((2, 1, 3), nn.ConvTranspose3d, nn.Conv3d):
        into, last = first(2, 3, 1), layer(3, 2, 2, stride=2)
        with torch.no_grad():
            into.weight[1], into.bias[1] = 2 * into.weight[0], 2 * into.bias[0]
            into.weight[2] = 0
            last.weight[2] = 0.5
        assert units(reduced(net(into, last), torch.zeros(2, 2, *size)), "0") == 1


def test_the_work_is_counted_at_the_inputs_positions():
    found = reduced(net(upwards(kernel(2, 3, TWO), stride=2)), X)
    assert found.original.size.multiply_adds == 2 * 3 * 4 * 12
