"""Traps about batch norm: slopes are irrational, ratios of slopes sometimes not; constants leave as square roots."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from trap import accepted, conv, net, norm, pointwise, reduced, refused, units

X = torch.zeros(2, 2, 3, 3)
ROW, BIAS = [1.0, -2.0], 0.5
EPS = float(np.float32(1e-5))


def pair(gamma, beta, mean, var, eps=0.0, activation=None, rows=(ROW, ROW), bias=(BIAS, BIAS), last=None):
    """Two channels `0` through a batch norm `1` and an activation `2`, read by `3`."""
    return net(pointwise(rows, bias), norm(gamma, beta, mean, var, eps), activation or nn.ReLU(), last or pointwise([[1, 2], [4, 5]]))


MERGE = {1: (0, 1, 0)}


def test_an_irrational_ratio_keeps_channels_apart():
    """sqrt(2/3) is no rational: equal channels with variances 2 and 3 are different units behind the norm."""
    found = reduced(pair([1, 1], [0, 0], [1, 1], [2, 3]), X)
    assert units(found, "0") == 2
    for scale in (1, "9/11", "40/49"):
        refused(found.original.graph, {"0": MERGE, "1": {1: (0, scale, 0)}, "2": {1: (0, scale, 0)}})


def test_a_rational_ratio_of_irrational_slopes():
    """Variances 2 and 18: slopes 1/sqrt(2) and 1/(3 sqrt(2)), ratio 1/3 exactly."""
    found = reduced(pair([1, 1], [0, 0], [1, 1], [2, 18]), X)
    assert units(found, "0") == 1
    claims = {"0": MERGE, "1": {1: (0, "1/3", 0)}, "2": {1: (0, "1/3", 0)}}
    accepted(found.original.graph, claims)
    refused(found.original.graph, claims | {"1": {1: (0, "1/2", 0)}, "2": {1: (0, "1/2", 0)}})


def test_gamma_makes_up_for_the_variance():
    """gamma 3 over variance 18 is gamma 1 over variance 2: equal channels."""
    found = reduced(pair([1, 3], [0.25, 0.25], [1, 1], [2, 18]), X)
    assert found.totals() == {"equal": 1}


def test_eps_makes_the_ratio_irrational():
    """(18 + eps) / (2 + eps) is no square."""
    found = reduced(pair([1, 1], [0, 0], [1, 1], [2, 18], eps=1e-5), X)
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": MERGE, "1": {1: (0, "1/3", 0)}, "2": {1: (0, "1/3", 0)}})


def test_eps_is_the_kernels_number():
    """(4 e + e) / (e/4 + e) = 4 holds for the float32 next to 1e-5, which the kernel uses, and not for the double 1e-5."""
    var = [EPS / 4, 4 * EPS]
    assert all(float(np.float32(v)) == v for v in var)
    assert (4 * EPS + 1e-5) / (EPS / 4 + 1e-5) != 4
    found = reduced(pair([1, 1], [0, 0], [1, 1], var, eps=1e-5), X)
    assert units(found, "0") == 1


@pytest.mark.parametrize(("eps", "left"), [(1e-5, 2), (EPS, 1)])
def test_eps_of_a_double_network_is_the_double(eps, left):
    """The same variances in a float64 network, with either number as eps."""
    layers = pair([1, 1], [0, 0], [1, 1], [EPS / 4, 4 * EPS], eps=eps).double()
    assert units(reduced(layers, X.double()), "0") == left


def test_gamma_zero_is_the_constant_beta():
    """The channel leaves as beta whatever its variance; units before it are not observed."""
    found = reduced(pair([1, 0], [0.25, 3], [1, 1], [2, 3], eps=1e-5, rows=(ROW, [3, 7])), X)
    assert units(found, "0") == 1
    assert units(found, "1") == 1
    accepted(found.original.graph, {"1": {1: 3}, "2": {1: 3}}, {"0": [1]})
    refused(found.original.graph, {"1": {1: 2}, "2": {1: 2}}, {"0": [1]})


def test_gamma_zero_behind_zero_padding():
    """The constant beta > 0 is seen at the border: the channel stays, beta < 0 becomes 0 and leaves."""
    taps = np.arange(1.0, 19.0).reshape(1, 2, 3, 3)
    for beta, left in ((3, 2), (-3, 1)):
        model = pair([1, 0], [0.25, beta], [1, 1], [2, 3], 1e-5, rows=(ROW, [3, 7]), last=conv(taps, padding=1))
        assert units(reduced(model, X), "2") == left


IRRATIONAL = {
    "negative: relu makes it 0": (1, -1, 2, True),
    "positive: it stays": (1, 1, -2, False),
    "negative slope": (-1, -1, -2, True),
    "beta outweighs the root": (1, 3, 2, False),
    "the root outweighs beta": (1, 1, 2, True),
}


@pytest.mark.parametrize("name", IRRATIONAL)
def test_irrational_constants_are_decided_by_their_sign(name):
    """A pruned channel is the constant beta - gamma mean / sqrt(var): before a ReLU it leaves exactly when that is not positive."""
    gamma, beta, mean, leaves = IRRATIONAL[name]
    model = pair([1, gamma], [0.5, beta], [1, mean], [2, 3], rows=(ROW, [0, 0]), bias=(BIAS, 0))
    found = reduced(model, X)
    value = beta - gamma * mean / np.sqrt(3.0)
    assert (value <= 0) == leaves
    assert units(found, "2") == (1 if leaves else 2)
    if not leaves:
        refused(found.original.graph, {"0": {1: 0}, "1": {1: beta}, "2": {1: beta}})
        refused(found.original.graph, {"0": {1: 0}, "1": {1: value}, "2": {1: value}})


def test_a_sign_that_floats_get_wrong():
    """beta - mean / sqrt(2) with beta = 2^24 mean one float above or below the root: the sign is decided exactly."""
    mean = 1.0
    near = float(np.float32(mean / np.sqrt(2.0)))
    below, above = sorted({float(np.nextafter(np.float32(near), np.float32(0))), near, float(np.nextafter(np.float32(near), np.float32(1)))})[0::2]
    for beta, leaves in ((below, True), (above, False)):
        model = pair([1, 1], [0.5, beta], [1, mean], [2, 2], rows=(ROW, [0, 0]), bias=(BIAS, 0))
        assert units(reduced(model, X), "2") == (1 if leaves else 2)


def test_equal_irrational_constants_are_one_unit():
    """Two pruned channels with constants 1 + 2/sqrt(3) and twice that share a column."""
    model = net(
        pointwise([ROW, [0, 0], [0, 0]], [BIAS, 0, 0]),
        norm([1, 1, 2], [0.5, 1, 2], [1, -2, -2], [2, 3, 3]),
        nn.ReLU(),
        pointwise([[1, 2, 3], [4, 5, 7]]),
    )
    found = reduced(model, X)
    assert units(found, "2") == 2


def test_negative_slopes_flip():
    """gamma -1 on a negated channel is gamma 1; on the same channel it is scale -1, which passes tanh and not ReLU."""
    flipped = reduced(pair([1, -1], [0, 0], [1, -1], [2, 2], rows=(ROW, [-1, 2]), bias=(BIAS, -BIAS)), X)
    assert units(flipped, "0") == 1
    for activation, left in ((nn.ReLU(), 2), (nn.Tanh(), 1), (nn.Identity(), 1)):
        found = reduced(pair([1, -1], [0.5, -0.5], [1, 1], [2, 2], activation=activation), X)
        assert units(found, "0") == left
        claim = {1: (0, -1, 0)}
        (accepted if left == 1 else refused)(found.original.graph, {"0": MERGE, "1": claim, "2": claim})


def test_other_means_shift_by_a_root():
    """Means 1 and 2 over variance 2 differ by 1/sqrt(2): no rational offset. Over variance 4 the offset is 1/2, and passes a linear reader."""
    apart = reduced(pair([1, 1], [0, 0], [1, 2], [2, 2], activation=nn.Identity()), X)
    assert units(apart, "0") == 2
    refused(apart.original.graph, {"0": MERGE, "1": {1: (0, 1, "-1/2")}, "2": {1: (0, 1, "-1/2")}})
    shifted = reduced(pair([1, 1], [0, 0], [1, 2], [4, 4], activation=nn.Identity()), X)
    assert units(shifted, "0") == 1
    assert units(reduced(pair([1, 1], [0, 0], [1, 2], [4, 4]), X), "0") == 2


def test_scaled_channels_with_scaled_statistics():
    """Channel 2u with mean 2m and variance 4v is the same channel; with eps it is not."""
    arguments = ([1, 1], [0.5, 0.5], [1, 2], [3, 12])
    for eps, left in ((0.0, 1), (1e-5, 2)):
        found = reduced(pair(*arguments, eps=eps, rows=(ROW, [2, -4]), bias=(BIAS, 2 * BIAS)), X)
        assert units(found, "0") == left


def test_units_behind_a_norm_keep_its_buffers():
    """The reduced norm carries the kept channels' statistics and the batch counter."""
    found = reduced(pair([1, 3], [0.25, 0.25], [1, 1], [2, 18]), X)
    layer = found.model.get_submodule("1")
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_var.tolist() == [2.0]
    assert int(layer.num_batches_tracked) == 0


@pytest.mark.parametrize("tap", [0.0, 2.0])
@pytest.mark.parametrize("heard", [[1, 0], [1, 3]])
def test_a_depthwise_kernel_over_an_irrational_constant(tap, heard):
    """A channel without weights is 1/sqrt(2) behind its norm; a depthwise kernel reads it, and the channel that it makes is read or not."""
    model = net(pointwise([ROW, [0, 0]], [BIAS, 2]), norm([1, 1], [0, 0], [1, 1], [2, 2]), conv([[[[1]]], [[[tap]]]], groups=2), pointwise([heard, heard]))
    found = reduced(model, X)
    assert units(found, "2") == (1 if 0 in (tap, heard[1]) else 2)
