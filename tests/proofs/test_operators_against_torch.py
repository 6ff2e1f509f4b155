"""The lemmas' operators compute what torch computes (small integers and dyadic numbers: exact in float64)."""

import random
from fractions import Fraction
from itertools import product

import mpmath
import pytest
import torch
from torch.nn import functional as F

from proofs import enclosure, operators
from proofs.operators import Spread, Windows
from proofs.worlds import Numbers

WORLD = Numbers(None)
GEOMETRIES = [
    Windows((5,), (3,), (1,), (1,), (1,)),
    Windows((6,), (3,), (2,), (0,), (1,)),
    Windows((7,), (2,), (2,), (1,), (2,)),
    Windows((2,), (2,), (1,), (1,), (3,)),
    Windows((4, 3), (2, 3), (1, 2), (1, 1), (2, 1)),
    Windows((2, 3, 2), (1, 2, 2), (1, 1, 1), (0, 1, 1), (1, 1, 1)),
]
PLAIN = [
    Windows((5,), (2,), (1,), (1,), (1,)),
    Windows((5,), (2,), (2,), (0,), (1,)),
    Windows((4, 3), (2, 2), (1, 2), (1, 0), (1, 1)),
    Windows((2, 3, 2), (1, 2, 2), (1, 1, 1), (0, 1, 1), (1, 1, 1)),
]


def integers(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-8, 9, shape, generator=generator, dtype=torch.float64)


def field(tensor):
    return {at: Fraction(tensor[at].item()) for at in product(*map(range, tensor.shape))}


def same(computed, tensor):
    expected = field(tensor)
    assert {at: (Fraction(v) if v is not None else None) for at, v in computed.items()} == expected


@pytest.mark.parametrize("windows", GEOMETRIES)
def test_convolution(windows):
    weight, x, bias = integers((1, 2, *windows.kernel), 0), integers((1, 2, *windows.size), 1), integers((1,), 2)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(windows.size)]
    expected = function(x, weight, bias, windows.stride, windows.padding, windows.dilation)[0, 0]
    same(operators.conv(windows, [field(weight[0, j]) for j in range(2)], Fraction(bias[0].item()), [field(x[0, j]) for j in range(2)]), expected)


SPREADS = [
    Spread((3,), (2,), (1,), (0,), (0,), (1,)),
    Spread((3,), (3,), (2,), (1,), (1,), (1,)),
    Spread((4,), (2,), (1,), (1,), (1,), (2,)),
    Spread((3,), (1,), (3,), (1,), (2,), (1,)),
    Spread((2, 3), (2, 3), (2, 1), (0, 1), (1, 0), (1, 2)),
    Spread((2, 1, 2), (1, 2, 2), (1, 2, 1), (0, 0, 1), (0, 1, 0), (1, 1, 2)),
]


@pytest.mark.parametrize("spread", SPREADS)
def test_transposed_convolution(spread):
    weight, x, bias = integers((2, 1, *spread.kernel), 0), integers((1, 2, *spread.size), 1), integers((1,), 2)
    function = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[len(spread.size)]
    expected = function(x, weight, bias, spread.stride, spread.padding, spread.extra, 1, spread.dilation)[0, 0]
    computed = operators.conv_transpose(spread, [field(weight[j, 0]) for j in range(2)], Fraction(bias[0].item()), [field(x[0, j]) for j in range(2)])
    same(computed, expected)


@pytest.mark.parametrize("windows", GEOMETRIES)
def test_taps_outside_are_those_through_which_padding_is_seen(windows):
    """A constant input of ones under one tap gives ones everywhere, or the tap reads outside."""
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(windows.size)]
    ones, seen = torch.ones(1, 1, *windows.size, dtype=torch.float64), set()
    for tap in windows.taps():
        weight = torch.zeros(1, 1, *windows.kernel, dtype=torch.float64)
        weight[(0, 0, *tap)] = 1
        out = function(ones, weight, None, windows.stride, windows.padding, windows.dilation)
        if out.min() < 1:
            seen.add(tap)
    assert seen == windows.outside_taps()


@pytest.mark.parametrize("windows", [g for g in GEOMETRIES if len(g.size) < 3])
def test_max_pooling(windows):
    x = integers((1, 1, *windows.size), 3)
    function = {1: F.max_pool1d, 2: F.max_pool2d}[len(windows.size)]
    expected = function(x, windows.kernel, windows.stride, windows.padding, windows.dilation)[0, 0]
    computed = operators.largest(WORLD, windows, field(x[0, 0]))
    assert [float("-inf") if v is None else float(v) for v in computed.values()] == expected.flatten().tolist()


@pytest.mark.parametrize("windows", PLAIN)
@pytest.mark.parametrize(("count", "divisor"), [(True, None), (False, None), (False, 4)])
def test_average_pooling(windows, count, divisor):
    """Every count is a power of two here, so float64 is exact. Missing leading axes are axes of size one."""
    x = integers((1, 1, *windows.size), 4)
    missing = 3 - len(windows.size)
    kernel, stride, padding = ((fill,) * missing + axes for fill, axes in ((1, windows.kernel), (1, windows.stride), (0, windows.padding)))
    shaped = x.reshape(1, 1, *[1] * missing, *windows.size)
    expected = F.avg_pool3d(shaped, kernel, stride, padding, count_include_pad=count, divisor_override=divisor).flatten()
    assert [float(v) for v in operators.average(windows, field(x[0, 0]), count, divisor).values()] == expected.tolist()


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("outputs", range(1, 7))
def test_adaptive_windows(size, outputs):
    """Each position's gradient of the sum of a window's mean says whether the window reads it."""
    for index in range(outputs):
        x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
        F.adaptive_avg_pool1d(x, outputs)[0, 0, index].backward()
        assert torch.nonzero(x.grad[0, 0]).flatten().tolist() == list(operators.adaptive_window(size, outputs, index))


@pytest.mark.parametrize("u", [-7, -1, 0, 1, 3, 9])
def test_piecewise_linear_functions(u):
    tensor, exact = torch.tensor(float(u), dtype=torch.float64), Fraction(u)
    assert operators.relu(WORLD, exact) == F.relu(tensor).item()
    assert operators.leaky_relu(WORLD, Fraction(1, 4), exact) == F.leaky_relu(tensor, 0.25).item()
    assert operators.hardtanh(WORLD, Fraction(-1), Fraction(1), exact) == F.hardtanh(tensor).item()
    assert operators.hardtanh(WORLD, Fraction(0), Fraction(6), exact) == F.relu6(tensor).item()


def test_reshape_is_row_major():
    flat = torch.arange(6).reshape(1, 3, 2).flatten(1)[0].tolist()
    assert [flat[i * 2 + p] for i in range(3) for p in range(2)] == [i * 2 + p for i in range(3) for p in range(2)]


REFERENCE = {
    enclosure.tanh: mpmath.tanh,
    enclosure.sigmoid: lambda u: 1 / (1 + mpmath.exp(-u)),
    enclosure.silu: lambda u: u / (1 + mpmath.exp(-u)),
    enclosure.erf: mpmath.erf,
    enclosure.gelu: lambda u: u * mpmath.ncdf(u),
    enclosure.gelu_tanh: lambda u: u / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (u + mpmath.mpf(44715) / 1000000 * u**3))),
}
TORCH = {
    enclosure.tanh: torch.tanh,
    enclosure.sigmoid: torch.sigmoid,
    enclosure.silu: F.silu,
    enclosure.erf: torch.erf,
    enclosure.gelu: F.gelu,
    enclosure.gelu_tanh: lambda u: F.gelu(u, approximate="tanh"),
}


@pytest.mark.parametrize("function", REFERENCE, ids=lambda f: f.__name__)
def test_enclosures_contain_the_function_to_fifty_digits(function):
    generator = random.Random(0)
    for _ in range(50):
        u = Fraction(generator.randint(-2000, 2000), 1024)
        enclosed = function(enclosure.box(u))
        with mpmath.workdps(50):
            exact = REFERENCE[function](mpmath.mpf(u.numerator) / u.denominator)
            assert mpmath.mpf(enclosed.a._mpi_[0]) <= exact <= mpmath.mpf(enclosed.b._mpi_[1])
            assert mpmath.mpf(enclosed.delta._mpi_[1]) < mpmath.mpf(10) ** -9


@pytest.mark.parametrize("function", TORCH, ids=lambda f: f.__name__)
def test_torch_means_the_same_function(function):
    """A plausibility check in float64; the claim itself is the enclosure's."""
    for u in (-1.5, -0.25, 0.0, 0.75, 1.5):
        middle = float(mpmath.mpf(function(enclosure.box(Fraction(u))).mid._mpi_[0]))
        assert middle == pytest.approx(TORCH[function](torch.tensor(u, dtype=torch.float64)).item(), rel=1e-12, abs=1e-12)


def _sigmoid(u):
    return 1 / (1 + mpmath.exp(-u))


def test_an_lstm_cell_is_torchs():
    cell, n = torch.nn.LSTMCell(2, 3, dtype=torch.float64), 3
    x, h, c = integers((1, 2), 1) / 4, integers((1, 3), 2) / 4, integers((1, 3), 3) / 4
    gates = (x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh)[0].tolist()
    after, kept = cell(x, (h, c))
    for unit in range(n):
        mine = operators.lstm_cell(_sigmoid, mpmath.tanh, [gates[k * n + unit] for k in range(4)], c[0, unit].item())
        assert [float(v) for v in mine] == pytest.approx([after[0, unit].item(), kept[0, unit].item()], rel=1e-12)


def test_a_gru_cell_is_torchs():
    cell, n = torch.nn.GRUCell(2, 3, dtype=torch.float64), 3
    x, h = integers((1, 2), 1) / 4, integers((1, 3), 2) / 4
    into, own = ((v @ w.T + b)[0].tolist() for v, w, b in ((x, cell.weight_ih, cell.bias_ih), (h, cell.weight_hh, cell.bias_hh)))
    for unit in range(n):
        gates = [into[k * n + unit] + own[k * n + unit] for k in range(2)]
        mine = operators.gru_cell(_sigmoid, mpmath.tanh, gates, [into[2 * n + unit], own[2 * n + unit]], h[0, unit].item())
        assert float(mine) == pytest.approx(cell(x, h)[0, unit].item(), rel=1e-12)
