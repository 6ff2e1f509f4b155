"""The constants of smooth curves, against torch's derivatives on a grid and what can lie between its points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lumpnet.bounds.relaxed.relaxations import BENDS, SLOPES

CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
}
STEP = 2.0**-14


@pytest.mark.parametrize("name", CURVES)
def test_slopes_and_bends(name: str) -> None:
    """A derivative moves between two points of the grid by half a step times the next one; beyond 20 all curves are straight to 1e-8."""
    x = torch.arange(-20, 20, STEP, dtype=torch.float64, requires_grad=True)
    orders = [CURVES[name](x)]
    for _ in range(3):
        orders.append(torch.autograd.grad(orders[-1].sum(), x, create_graph=True)[0])
    _, slope, bend, third = (o.detach() for o in orders)
    between = STEP / 2 * float(third.abs().max()) * 1.01
    assert float(bend.abs().max()) + between <= BENDS[name] <= 1.1 * float(bend.abs().max())
    least, most = SLOPES[name]
    between = STEP / 2 * BENDS[name]
    # within the rest, the slope's own extremes are flat: only ends that are not attained (0, 1) may be met exactly
    slack = 0.0 if name in ("sigmoid", "tanh") else between
    assert least <= float(slope.min()) - slack
    assert float(slope.max()) + slack <= most


def test_every_curve_has_its_constants() -> None:
    assert set(BENDS) == set(SLOPES) == set(CURVES)
