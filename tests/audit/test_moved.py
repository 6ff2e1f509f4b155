"""Relations of units through what only moves entries, against the operators themselves; a wrong shuffle is told from wrong columns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from lumpnet.audit.matching import matched, residuals
from lumpnet.audit.moved import carried, identity, misplaced
from lumpnet.bounds.relaxed import Units
from lumpnet.ir import Graph, Node
from lumpnet.ops.sites import run
from tests.bounds.cases import RELU, chain, linear

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONV = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}


def select(index: np.ndarray) -> tuple[str, dict, dict]:
    return "index_select", {"axis": 1, "index": [int(k) for k in index]}, {}


def movers(rng: np.random.Generator, n: int, m: int) -> tuple[list[int], list[int], list[tuple[str, dict, dict]]]:
    """Shapes of both operands, n and m units along an axis of them, and an operator for each."""
    rest = int(rng.integers(1, 4))
    match rng.integers(5):
        case 0:
            return [n, rest], [m, rest], [select(rng.integers(0, size, size=int(rng.integers(1, 7)))) for size in (n, m)]
        case 1:
            return [n, rest, 2], [m, rest, 2], [("permute", {"dims": [0, 3, 1, 2]}, {})] * 2
        case 2:
            return [n, rest], [m, rest], [("reshape", {"shape": [size * rest]}, {}) for size in (n, m)]
        case 3:
            return [n, 4], [m, 4], [("reshape", {"shape": [size, 2, 2]}, {}) for size in (n, m)]
        case _:
            return [n, 6], [m, 6], [("reshape", {"shape": [2, 3 * size]}, {}) for size in (n, m)]


def last(graph: Graph) -> Node:
    return graph.nodes[-1]


def test_what_is_carried_holds_at_every_point(rng: np.random.Generator) -> None:
    """Operands that are related give results that are, by exactly the relation said."""
    said = 0
    for _ in range(400):
        n = int(rng.integers(2, 6))
        m = int(rng.integers(1, n + 1))
        into = Units(rng.integers(-1, m, size=n), 2.0 ** rng.integers(-2, 3, size=n), rng.integers(-3, 4, size=n).astype(float))
        mine, theirs, steps = movers(rng, n, m)
        one, two = (chain(shape, step) for shape, step in zip((mine, theirs), steps, strict=True))
        found = carried(one, last(one), two, last(two), into)
        y = rng.integers(-9, 10, size=(1, *theirs)).astype(float)
        wide = [-1] + [1] * (len(mine) - 1)
        x = np.where(into.of.reshape(wide) < 0, 0, into.scale.reshape(wide) * y[0][into.of]) + into.offset.reshape(wide)
        f, g = (run(graph, {"x": value})[last(graph).name][0] for graph, value in ((one, x[None]), (two, y)))
        if found is None:
            continue
        said += 1
        wide = [1] * f.ndim
        wide[found.axis - 1] = -1
        taken = np.take(g, np.maximum(found.of, 0), axis=found.axis - 1)
        kept = np.broadcast_to(found.of.reshape(wide) >= 0, f.shape)
        made = found.scale.reshape(wide) * taken + found.offset.reshape(wide)
        np.testing.assert_array_equal(f[kept], made[kept])
    assert said >= 150


def test_a_selection_reads_again_what_is_read_again() -> None:
    """Twice each: the first reading follows the first, the second the second."""
    one, two = chain([4], select(np.array([3, 3, 1, 1]))), chain([2], select(np.array([1, 0, 1, 0])))
    found = carried(one, last(one), two, last(two), Units(np.array([-1, 0, -1, 1]), np.ones(4), np.zeros(4)))
    assert found is not None
    assert found.of.tolist() == [0, 2, 1, 3]


def test_units_are_not_said_to_follow_where_positions_are_mixed() -> None:
    one, two = (chain([2, 6], ("reshape", {"shape": [3, 4]}, {})) for _ in range(2))
    assert carried(one, last(one), two, last(two), Units(np.array([1, 0]), np.ones(2), np.zeros(2))) is None


def test_misplaced_counts_the_units_that_read_another_one() -> None:
    one, two = chain([4], select(np.array([0, 2, 1, 3]))), chain([4], select(np.array([0, 1, 2, 3])))
    found = misplaced(one, last(one), two, last(two), None, identity(4))
    assert found is not None
    assert found.tolist() == [0, 2, 2, 0]
    same = misplaced(one, last(one), one, last(one), None, None)
    assert same is not None
    assert not same.any()


def test_one_number_an_example_becomes_a_row() -> None:
    """An operand without an axis besides the batch."""
    one, two = (chain([3], linear([w]), ("sum", {"axes": [1], "keepdim": False}, {}), ("reshape", {"shape": [1]}, {})) for w in ([1.0] * 3, [2.0] * 3))
    assert [r.operator for r in residuals(one, two, matched(one, two))] == ["v0"]


def shuffled(columns: list[int], index: list[int], keep: list[int], w: np.ndarray, v: np.ndarray) -> Graph:
    return chain([1, 4, 4], ("conv", CONV, {"weight": w[keep]}), RELU, select(np.array(index)), ("conv", CONV, {"weight": v[:, columns]}), RELU)


def test_a_shuffle_is_told_from_the_columns_behind_it(rng: np.random.Generator) -> None:
    """Channels 0 and 5 leave. Followed columns: nothing differs; unfollowed ones: the shuffle; other ones: the layer that reads."""
    w, v = rng.normal(size=(8, 1, 3, 3)), rng.normal(size=(3, 8, 3, 3))
    whole, keep, index, small = list(range(8)), [1, 2, 3, 4, 6, 7], [0, 4, 1, 5, 2, 6, 3, 7], [0, 3, 1, 4, 2, 5]
    original = shuffled(whole, index, whole, w, v)
    followed = [index.index(keep[k]) for k in small]
    turned = [*followed[1:], followed[0]]
    for columns, place in ((followed, []), (keep, ["v2"]), (turned, ["v3"])):
        other = shuffled(columns, small, keep, w, v)
        told = [r.operator for r in residuals(original, other, matched(original, other)) if r.weights > 0]
        assert told == place


def test_the_example_names_the_shuffle(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "audit_shuffle.py"), "--seconds", "20"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    followed, wrong = done.stdout.split("columns as they were")
    assert "through: bounded" in followed
    assert "shuffle" not in followed
    assert ": refuted" in wrong
    assert "enters by shuffle: 0." in wrong.split("\n")[1]
    assert "(other units read)" in wrong.split("\n")[1]
    foreign = [line for line in done.stdout.splitlines() if line.startswith("torch-pruning:")]
    assert foreign
    assert "refuted" in foreign[0] or "not installed" in foreign[0]


def test_a_layer_that_is_read_after_flattening_is_still_matched(rng: np.random.Generator) -> None:
    """The columns of a linear layer behind a flatten, by channels that stay."""
    v = rng.normal(size=(2, 12))
    w = rng.normal(size=(3, 1, 2, 2))
    conv = CONV | {"padding": [0, 0]}
    graphs = [
        chain([1, 3, 3], ("conv", conv, {"weight": w[keep]}), ("reshape", {"shape": [4 * len(keep)]}, {}), linear(v.reshape(2, 3, 4)[:, keep].reshape(2, -1)))
        for keep in ([0, 1, 2], [0, 2])
    ]
    match = matched(*graphs)
    assert match["v1"][1] is not None
    assert match["v2"] == ("v2", None)
    found = residuals(*graphs, match)
    assert not [r for r in found if r.weights > 0]
    assert [(r.operator, r.removed) for r in found] == [("v0", 1)]
