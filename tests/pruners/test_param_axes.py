"""`Op.param_axes` of every registered kind says where the numbers of a unit are: read by nobody with zeros there, equal with equal entries there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lumpnet.ops import Site, get, kinds
from lumpnet.ops.sites import rules
from tests.laws.test_operators import examples

ALL = pytest.mark.parametrize("kind", kinds())
READ = {"linear", "conv", "conv_transpose", "rnn", "lstm", "gru"}
"""Kinds whose weights can be blind to one unit of their operand."""
MADE = {"linear", "conv", "conv_transpose", "embedding", "constant", "batch_norm", "prelu", "add_constant", "mul_constant", "div_constant"}
"""Kinds with one row of numbers for every unit of their output."""
UNCUT = {"conv_transpose"}
"""Kinds that follow units, some of whose parameters have no row a unit (groups of several channels)."""


def followed(kind: str, rng: np.random.Generator) -> Iterator[tuple[Site, list[np.ndarray]]]:
    """Sites that follow units and have parameters; numbers for their operands."""
    for example in examples(kind, rng):
        site = example.site()
        if site.axis is not None and site.params:
            yield site, list(example.numbers(rng, 2).values())


def put(site: Site, which: int, change) -> Site | None:
    """The site with `change` made to every parameter with an entry a unit (of the output: 0, of the operand: 1), units first; None if there is none."""
    axes = {role: pair[which] for role, pair in (get(site.node.kind).param_axes(site) or {}).items() if role in site.params and pair[which] is not None}
    params = {role: p.copy() for role, p in site.params.items()}
    for role, axis in axes.items():
        change(np.moveaxis(params[role], axis, 0))
    return replace(site, params=params, derived={}) if axes else None


def run(site: Site, xs: list[np.ndarray]) -> np.ndarray:
    return get(site.node.kind).run(site, xs)


@ALL
def test_zeros_at_a_unit_make_the_node_blind_to_it(kind, rng):
    seen = False
    for site, (x, *_) in followed(kind, rng):
        if site.in_axes[0] is None:
            continue
        for unit in range(x.shape[site.in_axes[0]]):
            other = x.copy()
            np.moveaxis(other, site.in_axes[0], 0)[unit] += rng.integers(1, 9)
            blind = put(site, 1, lambda entries, unit=unit: entries.__setitem__(unit, 0))
            if blind is not None:
                np.testing.assert_array_equal(run(blind, [x]), run(blind, [other]), err_msg=str(site.node))
                seen |= not np.array_equal(run(site, [x]), run(site, [other]))
    assert seen == (kind in READ)


@ALL
def test_equal_rows_make_equal_units(kind, rng):
    """Where the node works unit by unit, units of its operand are equal."""
    seen = False
    for site, (x, *_) in followed(kind, rng):
        if rules(site).same_units(site):
            x = np.broadcast_to(np.take(x, [0], site.in_axes[0]), x.shape)
        for i, j in pairwise([*range(site.units), 0]):
            alike = put(site, 0, lambda entries, i=i, j=j: entries.__setitem__(j, entries[i]))
            if alike is not None and i != j:
                y, before = run(alike, [x]), run(site, [x])
                np.testing.assert_array_equal(np.take(y, i, site.axis), np.take(y, j, site.axis), err_msg=str(site.node))
                np.testing.assert_array_equal(np.take(y, i, site.axis), np.take(before, i, site.axis), err_msg=str(site.node))
                seen |= not np.array_equal(np.take(before, i, site.axis), np.take(before, j, site.axis))
    assert seen == (kind in MADE)


@ALL
def test_parameters_that_are_not_cut_are_known(kind, rng):
    """An operator with parameters says where its units are, or is listed as one that cannot."""
    uncut = any(get(kind).param_axes(site) is None for site, _ in followed(kind, rng))
    assert uncut == (kind in UNCUT)
