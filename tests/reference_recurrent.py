"""Recurrent layers, by brute force: all pairs of hidden units, in `Fraction`s, until nothing more comes apart.

A hypothesis is a set of units that are zero and a ratio for each pair of others.
It starts with every unit zero, and every pair is asked again under what is left.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction as F
from itertools import product
from typing import Any

import numpy as np

GATES = {"rnn": ["turns"], "lstm": ["like", "like", "turns", "like"], "gru": ["like", "like", "turns"]}
Form = tuple[bool, dict[Any, F], F]
"""Whether it turns with the unit; coefficients by column; what constants and biases add."""


class Cell:
    """One layer as the reference sees it: `operand` is (present, value, relation) of what it reads."""

    def __init__(self, node: Any, params: dict[str, np.ndarray], operand: Any, classes: Any):
        self.node, self.params, self.classes = node, params, classes
        self.pres, self.val, self.rel = operand
        self.into = classes(self.pres, self.rel)
        self.n = params["weight_hh"].shape[1]

    def solve(self) -> tuple[set[int], dict[tuple[int, int], F]]:
        """Which units are zero, and the ratio of every related pair of others, if nobody else has a say."""
        return self.settle(set(range(self.n)), None)

    def within(self, keep: set[int], cut: set[frozenset[int]]) -> tuple[set[int], dict[tuple[int, int], F]]:
        """The same where `keep` must stay and the pairs in `cut` are apart; units that are zero and stay may be one."""
        zero, pairs = self.solve()
        both = product(sorted(zero & keep), repeat=2)
        start = pairs | {(i, j): F(1) for i, j in both if i != j}
        return self.settle(zero - keep, start, cut)

    def settle(self, zero: set[int], ratio: dict[tuple[int, int], F] | None, cut: Collection[frozenset[int]] = ()) -> tuple[set[int], dict[tuple[int, int], F]]:
        """Ask every pair again until nothing comes apart; without ratios units that are no longer zero meet for the first time."""
        ratio = None if ratio is None else {pair: r for pair, r in ratio.items() if frozenset(pair) not in cut}
        while True:
            rows = [self.forms(i, zero, ratio or {}) for i in range(self.n)]
            still = {i for i in zero if self.silent(rows[i])}
            pairs = {}
            for i, j in product(range(self.n), repeat=2):
                met = frozenset((i, j)) not in cut and (ratio is None or i in zero or j in zero or (i, j) in ratio)
                r = self.ratio(rows[i], rows[j]) if i != j and met and not {i, j} & still else None
                if r is not None and (ratio or {}).get((i, j), r) == r:
                    pairs[i, j] = r
            if still == zero and pairs == ratio:
                return zero, pairs
            zero, ratio = still, pairs

    def forms(self, unit: int, zero: set[int], ratio: dict[tuple[int, int], F]) -> list[Form]:
        own = {k: next((m for m in range(k) if (k, m) in ratio), k) for k in range(self.n) if k not in zero}
        found: list[Form] = []
        for gate, what in enumerate(GATES[self.node.kind]):
            row = gate * self.n + unit
            left, right = self.side(row, "ih"), self.side(row, "hh")
            for j, w in enumerate(self.params["weight_ih"][row]):
                self.read(left, j, w)
            for k, w in enumerate(self.params["weight_hh"][row]):
                if k in own:
                    right[0]["h", own[k]] = right[0].get(("h", own[k]), F(0)) + w * (ratio[k, own[k]] if own[k] != k else 1)
            apart = what == "turns" and self.node.attrs.get("linear_before_reset", False)
            for columns, bias in [left, right] if apart else [[left[0] | right[0], left[1] + right[1]]]:
                found.append((what == "turns", {c: w for c, w in columns.items() if w}, bias))
        return found

    def side(self, row: int, role: str) -> list[Any]:
        bias = self.params.get(f"bias_{role}")
        return [{}, F(0) if bias is None else bias[row]]

    def read(self, side: list[Any], j: int, w: F) -> None:
        columns = side[0]
        if not self.pres[j]:
            if isinstance(self.val[j], F):
                side[1] += w * self.val[j]
            else:
                columns["irrational", j] = w
            return
        r, c = self.rel(j, self.into[j])
        columns["x", self.into[j]] = columns.get(("x", self.into[j]), F(0)) + w * r
        side[1] += w * c

    @property
    def rectifies(self) -> bool:
        return self.node.attrs.get("nonlinearity") == "relu"

    def silent(self, forms: list[Form]) -> bool:
        turning = [(columns, bias) for turns, columns, bias in forms if turns]
        return all(not columns and (bias == 0 or (self.rectifies and bias < 0)) for columns, bias in turning)

    def ratio(self, one: list[Form], two: list[Form]) -> F | None:
        """`unit one = r * unit two` after a step, if it was before."""
        if any(a[1:] != b[1:] for a, b in zip(one, two, strict=True) if not a[0]):
            return None
        entries = [(a[1].get(c, F(0)), b[1].get(c, F(0))) for a, b in zip(one, two, strict=True) if a[0] for c in {*a[1], *b[1]}]
        entries += [(a[2], b[2]) for a, b in zip(one, two, strict=True) if a[0]]
        live = [(x, y) for x, y in entries if x or y]
        if not live:
            return F(1)
        if any(not x or not y for x, y in live):
            return None
        ratios = {x / y for x, y in live}
        r = ratios.pop()
        good = r > 0 if self.rectifies else abs(r) == 1
        return r if good and not ratios else None
