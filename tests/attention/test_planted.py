"""Planted blocks of heads are found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import lumpnet
from lumpnet.api import Reduction
from lumpnet.network import Network
from lumpnet.verdict import Proved
from tests.attention.planted import WIDTH, Layers, layers, numbers

Parts = list[np.ndarray]


def reduced(net: Layers) -> Reduction:
    found = lumpnet.reduce(Network(net.graph()))
    assert isinstance(found.verdict, Proved), found.verdict
    return found


def attention(found: Reduction) -> tuple[int, int, int, int]:
    """Heads, key/value heads, width of a query, width of a value."""
    node = next(n for n in found.network.graph.nodes if n.kind == "attention")
    sizes = [found.network.graph.value(name).shape[2] for name in node.inputs]
    return node.attrs["heads"], node.attrs["kv_heads"], sizes[1] // node.attrs["kv_heads"], sizes[2] // node.attrs["kv_heads"]


# -- what makes a copy of a block ---------------------------------------------------------------


def equal(parts: Parts, rng: np.random.Generator) -> None:
    """A duplicate; the output layer reads it otherwise."""


def key_bias(parts: Parts, rng: np.random.Generator) -> None:
    parts[1][:, -1] = numbers(rng, len(parts[1]))


def value_bias(parts: Parts, rng: np.random.Generator) -> None:
    parts[2][:, -1] = numbers(rng, len(parts[2]))


def value_scale(parts: Parts, rng: np.random.Generator) -> None:
    parts[2] *= rng.choice([2.0, -0.5, -4.0], size=(len(parts[2]), 1))


def shared_scale(parts: Parts, rng: np.random.Generator) -> None:
    """What the queries gain the keys lose."""
    scale = rng.choice([2.0, -0.5, -4.0], size=(len(parts[1]), 1))
    parts[0] *= scale
    parts[1] /= scale


def order(parts: Parts, rng: np.random.Generator) -> None:
    """The units of the head in another order."""
    perm, perm_v = rng.permutation(len(parts[1])), rng.permutation(len(parts[2]))
    parts[0], parts[1], parts[2] = parts[0][:, perm], parts[1][perm], parts[2][perm_v]


COPIES: list[Callable[[Parts, np.random.Generator], None]] = [equal, key_bias, value_bias, value_scale, shared_scale, order]
SIZES = [(2, 1, 2, 3), (1, 2, 2, 1), (3, 1, 1, 1), (2, 2, 2, 2)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("copy", [*COPIES, "all"], ids=lambda c: getattr(c, "__name__", c))
def test_a_copy_of_a_head_leaves(copy, size, rng):
    net = layers(rng, *size)
    for _ in range(2):
        parts = net.block(int(rng.integers(len(net.k))))
        for change in COPIES if copy == "all" else [copy]:
            change(parts, rng)
        parts[3] = numbers(rng, *parts[3].shape)
        net.put(parts, int(rng.integers(len(net.k) + 1)))
    assert attention(reduced(net)) == (size[0] * size[1], size[0], size[2], size[3])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_head_that_nobody_reads_leaves(size, rng):
    net = layers(rng, *size)
    for _ in range(2):
        parts = layers(rng, 1, *size[1:]).block(0)
        parts[3][:] = 0
        net.put(parts, int(rng.integers(len(net.k) + 1)))
    assert attention(reduced(net)) == (size[0] * size[1], size[0], size[2], size[3])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_head_of_constant_values_leaves(size, rng):
    net = layers(rng, *size)
    parts = layers(rng, 1, *size[1:]).block(0)
    parts[2][:, :-1] = 0
    net.put(parts, int(rng.integers(len(net.k) + 1)))
    assert attention(reduced(net)) == (size[0] * size[1], size[0], size[2], size[3])


def test_heads_become_narrower_by_a_common_number(rng):
    """Two key units without weights in one block, a query unit that is zero and a key unit in the other: one leaves... two of each do."""
    net = layers(rng, 2, 1, 4, 2)
    net.k[0, [0, 2], :-1] = 0
    net.q[1, :, 1] = 0
    net.k[1, 3, :-1] = 0
    assert attention(reduced(net)) == (2, 2, 2, 2)
    net = layers(rng, 2, 1, 4, 2)
    net.k[0, [0, 2], :-1] = 0
    net.k[1, 3, :-1] = 0
    assert attention(reduced(net)) == (2, 2, 3, 2)
    net.k[1, 3, 0] = 1
    assert attention(reduced(net)) == (2, 2, 4, 2)


def test_values_become_narrower_by_a_common_number(rng):
    net = layers(rng, 2, 2, 2, 3)
    net.v[0, 1, :-1] = 0
    net.o[1, :, 2] = 0
    assert attention(reduced(net)) == (4, 2, 2, 2)
    net.o[0, :, 2] = 0
    assert attention(reduced(net)) == (4, 2, 2, 2)
    net.o[1, :, 0] = 0
    assert attention(reduced(net)) == (4, 2, 2, 1)
    net.o[1, 0, 0] = 1
    assert attention(reduced(net)) == (4, 2, 2, 2)


def test_one_unit_is_left(rng):
    """All keys are constants: every query looks everywhere alike, through a head of width one."""
    net = layers(rng, 1, 1, 3, 2)
    net.k[:, :, :-1] = 0
    assert attention(reduced(net)) == (1, 1, 1, 2)


# -- what is no copy ----------------------------------------------------------------------------


def query_bias(parts: Parts, rng: np.random.Generator) -> None:
    parts[0][..., -1] += 1


def query_scale(parts: Parts, rng: np.random.Generator) -> None:
    parts[0] *= 2


def key_weight(parts: Parts, rng: np.random.Generator) -> None:
    parts[1][0, 0] += 1 / 64


def one_value(parts: Parts, rng: np.random.Generator) -> None:
    parts[2][0, 0] += 1 / 64


def query_order(parts: Parts, rng: np.random.Generator) -> None:
    parts[0] = np.roll(parts[0], 1, axis=1)


OTHERS = [query_bias, query_scale, key_weight, one_value, query_order]


@pytest.mark.parametrize("change", OTHERS, ids=lambda c: c.__name__)
def test_another_head_stays(change, rng):
    net = layers(rng, 2, 1, 2, 2)
    parts = net.block(0)
    change(parts, rng)
    parts[3] = numbers(rng, *parts[3].shape)
    net.put(parts, 2)
    assert attention(reduced(net)) == (3, 3, 2, 2)


def test_heads_of_one_group_stay_when_the_other_group_has_no_twins(rng):
    net = layers(rng, 2, 2, 2, 2)
    net.q[0, 1] = net.q[0, 0]
    assert attention(reduced(net)) == (4, 2, 2, 2)


def test_random_coincidences_are_proved(rng):
    """Few different rows, so that heads, units and constants meet in all ways; whatever is found is proved."""
    lost = 0
    for _ in range(150):
        blocks, each, d, dv = (int(n) for n in (rng.integers(1, 5), rng.integers(1, 3), rng.integers(1, 4), rng.integers(1, 4)))
        pool = numbers(rng, 3, WIDTH + 1) * np.array([1, 1, 0])[:, None]
        pool[2, -1] = rng.choice([0.0, 1.0])

        def draw(*shape: int, pool: np.ndarray = pool) -> np.ndarray:
            return pool[rng.choice(3, size=shape, p=[0.5, 0.25, 0.25])] * rng.choice([1.0, 1.0, 2.0], size=(*shape, 1))

        o = numbers(rng, blocks, each, dv, 3) * (rng.random((blocks, each, dv, 1)) < 0.8)
        net = Layers(draw(blocks, each, d), draw(blocks, d), draw(blocks, dv), o)
        found = reduced(net)
        lost += found.original.size.units - found.network.size.units
    assert lost > 500
