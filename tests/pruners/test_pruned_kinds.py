"""Networks around less common operators: what leaves together, what is left alone and why, and that the small network is the masked one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lumpnet
from lumpnet.verdict import Proved
from tests.pruners.pruner_cases import ALL, MERGING, NARROW, SEED, UNITS, outputs, prune, units, units_asked


class Grouped(nn.Module):
    """Groups of two channels, a channel multiplier of two, transposed convolutions of one, many and three groups."""

    def __init__(self):
        super().__init__()
        self.c1, self.g = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.d, self.t = nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.ConvTranspose2d(16, 12, 3)
        self.td, self.t2, self.tg, self.f = (
            nn.ConvTranspose2d(12, 12, 3, groups=12),
            nn.Conv2d(12, 12, 1),
            nn.ConvTranspose2d(12, 12, 3, groups=3),
            nn.Linear(12, 5),
        )

    def forward(self, x):
        x = torch.relu(self.d(torch.relu(self.g(torch.relu(self.c1(x))))))
        x = torch.relu(self.td(torch.relu(self.t(x))))
        return self.f(torch.relu(self.tg(torch.relu(self.t2(x)))).mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.r, self.b, self.p, self.c = nn.Linear(4, 10), nn.GRU(10, 6, batch_first=True), nn.Linear(6, 8), nn.PReLU(), nn.Linear(8, 2)

    def forward(self, x):
        return self.c(self.p(self.b(self.r(torch.tanh(self.a(x)))[0])))


class Gate(nn.Module):
    """A table, and one layer whose halves are multiplied."""

    def __init__(self):
        super().__init__()
        self.e, self.a, self.c = nn.Embedding(11, 8), nn.Linear(8, 16), nn.Linear(8, 3)

    def forward(self, x):
        u, v = self.a(self.e(x)).chunk(2, -1)
        return self.c(u * torch.sigmoid(v))


class Heads(nn.Module):
    """Four heads of three units."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(a, b) for a, b in ((6, 12), (6, 12), (6, 12), (12, 6)))

    def forward(self, x):
        def cut(y):
            return y.view(-1, 5, 4, 3).transpose(1, 2)

        return self.o(F.scaled_dot_product_attention(cut(self.q(x)), cut(self.k(x)), cut(self.v(x))).transpose(1, 2).reshape(-1, 5, 12))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.n, self.b, self.c = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.c(torch.relu(self.b(self.n(self.a(x)))))


MASKED = {
    "grouped": (Grouped, (3, 6, 6), torch.float32, {("c1",): (4, 2), ("t",): (12, 6), ("t2",): (3, 2)}),
    "recurrent": (Recurrent, (5, 4), torch.float32, {("a",): (10, 5), ("b",): (8, 4)}),
    "gate": (Gate, (7,), torch.long, {("e",): (8, 4), ("a",): (8, 4)}),
    "heads": (Heads, (5, 6), torch.float32, {("q", "k", "v"): (4, 2)}),
    "normed": (Normed, (4,), torch.float32, {("b",): (8, 4)}),
}
"""Module, example, and by operators (columns before, after)."""
NOT_MERGED = {"grouped": {("t2",)}}
LEFT = {
    "grouped": {"f": "f is an output of the network"},
    "recurrent": {"r": "the units of r (gru) read each other"},
    "gate": {},
    "heads": {},
    "normed": {"a": "n (layer_norm) pins it"},
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("case", UNITS)
def test_columns_leave_whole(case, name):
    build, shape, dtype, want = MASKED[name]
    torch.manual_seed(SEED)
    found = prune(build().eval(), case, 0.5, SEED, torch.zeros(2, *shape, dtype=dtype))
    merging = ALL[case][0] in MERGING
    want = {makers: counts for makers, counts in want.items() if not (merging and makers in NOT_MERGED.get(name, set()))}
    seen = {c.operators: (c.before, c.after) for c in found.changes}
    if case in NARROW:
        assert seen == {makers: want[makers] for makers in seen}
        assert set(want) <= {*seen, *(operators for operators, _ in found.skipped)}
    else:
        assert seen == want
    assert isinstance(found.verdict, Proved)
    assert units(found.network) == units_asked(found)
    reasons = {operators: reason for names, reason in found.skipped for operators in names}
    if not merging:
        for operator, reason in LEFT[name].items():
            assert reason in reasons[operator]
    if dtype == torch.float32:
        for one, two in zip(outputs(found.masked), outputs(found.network), strict=True):
            np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)


def test_what_keeps_a_layer_from_merging_is_said():
    torch.manual_seed(0)
    skipped = dict(lumpnet.prune(Grouped().eval(), torch.zeros(2, 3, 6, 6), method="folding", keep=0.5).skipped)
    assert skipped[("t2",)] == "the parameters of tg (conv_transpose) are not one row a unit"
    skipped = dict(lumpnet.prune(Recurrent().eval(), torch.zeros(2, 5, 4), method="folding", keep=0.5).skipped)
    assert skipped[("r",)] == "r (gru) has no rows of its own to make alike"


def test_the_halves_of_a_gate_leave_together():
    torch.manual_seed(0)
    (change,) = [c for c in lumpnet.prune(Gate(), torch.zeros(2, 7, dtype=torch.long), method="magnitude", keep=0.5).changes if c.operators == ("a",)]
    removed = change.removed["a"]
    assert len(removed) == 8
    assert {u + 8 for u in removed if u < 8} == {u for u in removed if u >= 8}


def test_pruned_heads_are_heads():
    torch.manual_seed(0)
    change = lumpnet.prune(Heads(), torch.zeros(2, 5, 6), method="magnitude", keep=0.5).changes[0]
    heads = {u // 3 for u in change.removed["q"]}
    assert len(heads) == 2
    assert change.removed["q"] == change.removed["k"] == change.removed["v"] == sorted(3 * h + d for h in heads for d in range(3))


class Beside(nn.Module):
    """A convolution and a depthwise one of the input meet in a sum."""

    def __init__(self):
        super().__init__()
        self.c, self.d, self.f = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.f(torch.relu(self.c(x) + self.d(x)))


class TiedTable(nn.Module):
    """A table of as many entries as units, whose numbers are a layer's as well."""

    def __init__(self):
        super().__init__()
        self.e, self.t, self.a, self.o = nn.Embedding(6, 6), nn.Linear(6, 6), nn.Linear(6, 8), nn.Linear(8, 2)
        self.t.weight = self.e.weight

    def forward(self, x):
        return self.o(torch.relu(self.a(torch.relu(self.t(self.e(x))))))


class TiedKinds(nn.Module):
    """One kernel of two convolutions, in one of which it is transposed."""

    def __init__(self):
        super().__init__()
        self.a, self.c, self.t, self.o = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.ConvTranspose2d(4, 4, 1), nn.Conv2d(4, 2, 1)
        self.t.weight = self.c.weight

    def forward(self, x):
        return self.o(torch.relu(self.t(torch.relu(self.c(torch.relu(self.a(x)))))))


def test_channels_that_are_the_inputs_own_stay():
    torch.manual_seed(0)
    found = lumpnet.prune(Beside(), torch.zeros(2, 4, 3, 3), method="magnitude", keep=0.5)
    assert found.changes == ()
    assert found.skipped[0] == (("c", "d"), "d shares its units with a value whose units are not followed")


def test_a_table_that_is_a_layer_too_stays():
    torch.manual_seed(0)
    for method in ("magnitude", "folding"):
        found = lumpnet.prune(TiedTable(), torch.zeros(2, 3, dtype=torch.long), method=method, keep=0.5)
        assert [(c.operators, c.before, c.after) for c in found.changes] == [(("a",), 8, 4)]
        assert (("e", "t"), "e and t share a tensor, and not all around it") in found.skipped
        assert units(found.network) == units_asked(found)


def test_a_kernel_of_two_kinds_stays():
    torch.manual_seed(0)
    found = lumpnet.prune(TiedKinds(), torch.zeros(2, 3, 4, 4), method="magnitude", keep=0.5)
    assert found.changes == ()
    assert (("a", "c", "t"), "c and t share a tensor, and not all around it") in found.skipped
