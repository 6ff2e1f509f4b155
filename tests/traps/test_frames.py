"""Traps about what enters from outside: padding values, and sums that count offsets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from trap import accepted, conv, linear, net, pointwise, read, reduced, refused, units

import lumpnet

X = torch.zeros(2, 2, 3, 3)
A = [1.0, -2.0]


class Framed(nn.Module):
    """Channels from a 1x1 convolution, a function of positions, and a 3x3 reader."""

    def __init__(self, rows, bias, function, size=3):
        super().__init__()
        self.hidden, self.function, self.size = pointwise(rows, bias), function, size
        self.last = conv(read(len(rows) * 9).reshape(2, len(rows), 3, 3), [1, 2])

    def forward(self, x):
        return self.last(self.function(self.hidden(x)))


def framed(value):
    return lambda h: F.pad(h, (1, 1, 1, 1), value=value)


def test_zeros_around_a_constant_channel_keep_it():
    found = reduced(Framed([A, [0, 0]], [1, 3], framed(0.0)), X)
    assert units(found, "hidden") == 2
    refused(found.original.graph, {"hidden": {1: 3}, "pad": {1: 3}})


def test_a_constant_channel_leaves_where_the_frame_is_of_its_kind():
    found = reduced(Framed([A, [0, 0]], [1, 3], framed(3.0)), X)
    assert units(found, "hidden") == 1


def test_multiples_pass_a_frame_of_zeros_and_no_other():
    double = [A, [2.0, -4.0]]
    assert units(reduced(Framed(double, [1, 2], framed(0.0)), X), "hidden") == 1
    found = reduced(Framed(double, [1, 2], framed(1.0)), X)
    assert units(found, "hidden") == 2
    refused(found.original.graph, {"hidden": {1: (0, 2, 0)}, "pad": {1: (0, 2, 0)}})


def test_an_affine_row_passes_the_frame_that_it_maps_to_itself():
    """x_1 = 2 x_0 - 1, and 1 = 2 * 1 - 1."""
    found = reduced(Framed([A, [2.0, -4.0]], [1, 1], framed(1.0)), X)
    assert units(found, "hidden") == 1


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_copies_pass_everything(mode):
    found = reduced(Framed([A, [-2.0, 4.0], [0, 0]], [1, 5, 3], lambda h: F.pad(h, (1, 1, 1, 1), mode)), X)
    assert units(found, "hidden") == 1


class Wider(nn.Module):
    """A residual connection that fills up with channels of `value`, as small ResNets do."""

    def __init__(self, rows, before=1, after=2, value=0.0, others=None):
        super().__init__()
        wide = len(rows) + before + after
        self.hidden, self.pads, self.value = pointwise(rows, [1, 2][: len(rows)]), (0, 0, 0, 0, before, after), value
        self.branch, self.last = pointwise(others if others is not None else read(2, wide)), pointwise(read(wide), [1, 2])

    def forward(self, x):
        return self.last(torch.relu(F.pad(self.hidden(x), self.pads, value=self.value) + self.branch(x)))


def test_units_of_padding_are_constants():
    """They meet a branch and stay where that lives; where it is constant too they leave."""
    assert units(reduced(Wider([A, [2.0, 4.0]]), X), "pad") == 5
    found = reduced(Wider([A, [2.0, -4.0]], others=np.zeros((5, 2)), value=3.0), X)
    assert units(found, "hidden") == units(found, "last") - 1 == 1
    plain = net(pointwise([A, [2.0, 4.0]], [1, 2]), nn.ConstantPad3d((0, 0, 0, 0, 1, 1), 3.0), pointwise(read(4), [1, 2]))
    graph = reduced(plain, X).original.graph
    accepted(graph, {"1": {0: 3, 3: 3}})
    accepted(graph, {"1": {3: (0, 2, -3)}})
    for wrong in ({0: 2}, {3: (0, 2, 0)}, {3: (0, 1, 1)}):
        refused(graph, {"1": wrong})


def test_kept_units_of_padding_share_columns():
    """Branch channels 0 and 3 are twins and 4 is alone: two columns of padding beside the operand's."""
    others = [[1.0, 5.0], [1.0, 0.0], [0.0, 1.0], [1.0, 5.0], [3.0, 1.0]]
    found = reduced(Wider([A, [2.0, 4.0]], others=others), X)
    (padded,) = [n for n in found.network.graph.nodes if n.kind == "pad"]
    assert padded.attrs["pads"][0] == [1, 1]
    assert units(found, "pad") == 4


def test_only_padding_is_observed():
    class Only(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = pointwise([A, [0, 0]], [1, 2])

        def forward(self, x):
            return F.pad(self.hidden(x), (0, 0, 0, 0, 1, 0), value=0.5)[:, :1]

    reduced(Only(), X)


def test_copies_of_units_pin_with_a_reason():
    model = Framed([A, [2.0, -4.0]], [1, 2], lambda h: F.pad(h.flatten(2), (0, 0, 1, 0), "replicate").unflatten(2, (3, 3)))
    model.last = conv(read(27).reshape(2, 3, 3, 3), [1, 2])
    found = reduced(model, X)
    assert units(found, "hidden") == 2


def test_a_sum_counts_the_offset_at_every_position():
    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.last = pointwise([A, A, [0, 0]], [1, 3, 5]), linear(read(3), [1, 2])

        def forward(self, x):
            return self.last(self.hidden(x).sum((2, 3)))

    found = reduced(Summed(), X)
    assert units(found, "hidden") == 1
    graph = found.original.graph
    accepted(graph, {"hidden": {1: (0, 1, 2), 2: 5}, "sum": {1: (0, 1, 18), 2: 45}})
    refused(graph, {"hidden": {1: (0, 1, 2), 2: 5}, "sum": {1: (0, 1, 2), 2: 45}})
    refused(graph, {"hidden": {1: (0, 1, 2), 2: 5}, "sum": {1: (0, 1, 18), 2: 5}})


def test_the_largest_of_the_negative_is_not_the_negative_of_the_largest():
    class Largest(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.kind, self.hidden, self.last = kind, pointwise([A, [-1.0, 2.0], [3.0, -6.0]], [1, -1, 7]), linear(read(3), [1, 2])

        def forward(self, x):
            return self.last(getattr(self.hidden(x), self.kind)((2, 3)))

    for kind in ("amax", "amin"):
        found = reduced(Largest(kind), X)
        assert units(found, "hidden") == 2
        refused(found.original.graph, {"hidden": {1: (0, -1, 0)}, kind: {1: (0, -1, 0)}})


def test_prelu_merges_within_a_slope_only():
    bend = nn.PReLU(4)
    with torch.no_grad():
        bend.weight.copy_(torch.tensor([0.25, 0.25, 0.5, 0.5]))
    found = reduced(net(linear([A, [2.0, -4.0], A, [0, 0]], [1, 2, 1, -2]), bend, linear(read(4), [1, 2])), torch.zeros(2, 2))
    assert units(found, "0") == 2
    assert isinstance(found.model.get_submodule("1"), nn.PReLU)
    graph = found.original.graph
    refused(graph, {"0": {2: (0, 1, 0)}, "1": {2: (0, 1, 0)}})
    refused(graph, {"0": {3: -2}, "1": {3: -0.5}})
    accepted(graph, {"0": {1: (0, 2, 0), 3: -2}, "1": {1: (0, 2, 0), 3: -1}})


def test_one_slope_for_all():
    found = reduced(net(linear([A, [2.0, -4.0]], [1, 2]), nn.PReLU(), linear(read(2), [1, 2])), torch.zeros(2, 2))
    assert units(found, "0") == 1


def test_upsampled_channels():
    found = reduced(Framed([A, [-2.0, 4.0], [0, 0]], [1, 5, 3], lambda h: F.interpolate(h, scale_factor=2)), X)
    assert units(found, "hidden") == 1
    assert "upsample" in {n.kind for n in found.network.graph.nodes}


def test_centred_inputs():
    """x - mean, over deviation: the usual normalisation of images, in the network."""

    class Normalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.deviation = nn.Buffer(torch.tensor([0.5, 0.25]).view(2, 1, 1)), nn.Buffer(torch.tensor([0.1, 4.0]).view(2, 1, 1))
            self.hidden, self.last = pointwise([A, [2.0, -4.0]], [1, 2]), pointwise(read(2), [1, 2])

        def forward(self, x):
            return self.last(torch.relu(self.hidden((x - self.mean) / self.deviation)))

    found = reduced(Normalised(), X)
    assert units(found, "hidden") == 1
    assert lumpnet.network.lift(Normalised(), X).graph.nodes[1].kind == "div_constant"
