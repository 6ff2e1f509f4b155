"""Laws of every method on generated networks of all families: shares, seeds, order, and the certified way to the small network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

import lumpnet
from lumpnet.errors import PruneError
from lumpnet.lump.layers import layers
from lumpnet.network import Network
from lumpnet.testing import FAMILIES, as_trained, networks
from lumpnet.verdict import Proved
from tests.pruners.pruner_cases import (
    ALL,
    AT_LEAST,
    FEWER,
    KEEPS,
    MERGING,
    NARROW,
    NOT_NESTED,
    RESHAPED,
    REWEIGHTED,
    SEED,
    TRAINED,
    UNITS,
    outputs,
    prune,
    seeds,
    share,
    stayed,
    units,
    units_asked,
)  # fmt: skip

trained = pytest.mark.parametrize("family", sorted(FAMILIES))
any_method = pytest.mark.parametrize("case", ALL)


@any_method
@hypothesis_seed(SEED)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(planted=networks(), keep=st.sampled_from(KEEPS))
def test_the_small_network_computes_the_masked_one(case, planted, keep):
    """Proved by the checker from the files, and seen on random inputs; redundancy is planted, so reduction has more to do than the method left."""
    try:
        found = prune(Network(planted.graph), case, keep)
    except PruneError as refused:
        assume("training diverged" not in str(refused))  # planted weights can be large
        raise
    assert isinstance(found.verdict, Proved)
    assert isinstance(lumpnet.check(found.masked, found.network, found.certificate), Proved)
    for one, two in zip(outputs(found.masked), outputs(found.network), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4 * (1 + np.abs(one).max()))


@any_method
@trained
def test_keeps_the_number_asked(case, family):
    """Layer by layer, rounded up, or more where the method finds it; and as many units are left in the small network, where nothing else was redundant."""
    for seed in seeds(2):
        network = Network(as_trained(seed, family))
        for keep in (0.3, 0.5):
            found = prune(network, case, keep, seed)
            assert found.changes or case in NARROW, f"as_trained({seed}, {family!r})"
            for change in found.changes:
                if change.what == "order" or case in RESHAPED:
                    continue
                asked, block = share(keep, change.before), 4 * 9
                fewer, more = case in FEWER and 0 < change.after < max(asked, block + 1), case in AT_LEAST and change.after > asked
                assert change.after == asked or fewer or more
                if change.what == "weights":
                    assert change.after == sum(int(np.count_nonzero(found.masked.graph.tensors[t])) for t in weight_of(network, change))
                    continue
                assert len(stayed(change)) == change.after
            if case in UNITS | TRAINED:
                left, wanted = units(found.network), units_asked(found)
                assert all(left[value] <= wanted[value] for value in left), f"as_trained({seed}, {family!r})"
                if set(found.compaction.totals()) <= {"unobserved", "equal"}:  # what reads one unit only can become proportional on top
                    assert left == wanted, f"as_trained({seed}, {family!r})"


def weight_of(network, change):
    """The one matrix or kernel that a change counts, by its size and its operators."""
    nodes = [n for n in network.graph.nodes if n.name in change.operators]
    return {t for n in nodes for t in n.params.values() if network.graph.tensors[t].ndim > 1}


@any_method
@trained
def test_the_same_seed_gives_the_same_network(case, family):
    network = Network(as_trained(SEED, family))
    one, two = prune(network, case, 0.5, 7), prune(network, case, 0.5, 7)
    assert one.network.data == two.network.data
    assert [c.as_dict() for c in one.changes] == [c.as_dict() for c in two.changes]


@pytest.mark.parametrize("case", ["random", "random-weights"])
def test_other_seeds_give_other_networks(case):
    network = Network(as_trained(SEED, "mlp"))
    assert len({prune(network, case, 0.5, seed).masked.data for seed in range(12)}) > 1


@pytest.mark.parametrize("case", sorted(set(ALL) - AT_LEAST))
@trained
def test_a_larger_share_keeps_more(case, family):
    """Counts grow with the share; where single units are judged once, what a smaller share keeps is part of what a larger one does."""
    network = Network(as_trained(SEED, family))
    found = [prune(network, case, keep, 3) for keep in KEEPS]
    for less, more in pairwise(found):
        larger = {(c.operators, c.what): c for c in more.changes}
        assert case in NARROW or set(larger) == {(c.operators, c.what) for c in less.changes}
        for a, b in [(c, larger[c.operators, c.what]) for c in less.changes if (c.operators, c.what) in larger and c.what != "order"]:
            assert a.after <= b.after or case in FEWER
            if a.what == "units" and case not in NOT_NESTED | set(TRAINED):
                assert stayed(a) <= stayed(b)
        if case not in UNITS | TRAINED and case not in NOT_NESTED:
            for name, tensor in less.masked.graph.tensors.items():
                assert ((tensor != 0) <= (more.masked.graph.tensors[name] != 0)).all()


@any_method
@trained
def test_keeping_all_changes_nothing(case, family):
    network = Network(as_trained(SEED, family))
    found = prune(network, case, 1.0)
    assert found.masked.data == network.data or case in AT_LEAST
    assert all(c.before == c.after and not any(c.removed.values()) and not any(c.merged.values()) for c in found.changes)


@any_method
def test_the_model_is_left_alone(case):
    network = Network(as_trained(SEED, "resnet"))
    before = network.data
    prune(network, case, 0.3)
    assert network.data == before


@trained
def test_what_is_not_pruned_is_named(family):
    """Every layer with units is either changed or skipped with a reason."""
    network = Network(as_trained(SEED, family))
    for case in UNITS | TRAINED:
        found = prune(network, case, 0.5)
        named = [n for c in found.changes for n in c.operators] + [n for operators, _ in found.skipped for n in operators]
        makers = {n.name for n in network.graph.nodes if n.kind == "linear" or (n.kind == "conv" and n.attrs["groups"] == 1)}
        assert set(named) == makers
        assert all(reason for _, reason in found.skipped)


@any_method
@trained
def test_only_what_the_changes_say_has_changed(case, family):
    """Every weight is as it was, or zero at a column that is no longer read, or as the classes and their scales say; and all that is said is done."""
    if ALL[case][0] in MERGING or case in TRAINED:  # rows are made alike, or all of them move
        return
    network = Network(as_trained(SEED, family))
    found = prune(network, case, 0.4, 5)
    before, after = network.graph.tensors, dict(found.masked.graph.tensors)
    wanted, places = dict(before), {layer.makers: layer for layer in layers(network.graph)}
    if case in UNITS:
        for change in found.changes:
            layer = places[change.operators]
            scale = np.ones(change.before) if change.scale is None else change.scale
            classes = np.zeros((change.before, change.before))
            there = np.flatnonzero(change.into >= 0)
            classes[change.into[there], there] = scale[there]
            layer.rewrite(wanted, layer.reads, lambda numbers, classes=classes: classes @ numbers)
        for name, tensor in wanted.items():
            np.testing.assert_allclose(after[name], tensor, rtol=1e-6, atol=0, err_msg=name)
        return
    for change in found.changes:
        if change.what == "order":
            layer, order = places[change.operators], np.argsort(change.scores)
            layer.rewrite(wanted, (*layer.rows, *layer.reads), lambda numbers, order=order: numbers[order])
    counted = {t for change in found.changes if change.what == "weights" for t in weight_of(network, change)}
    for name, tensor in wanted.items():
        if case in RESHAPED and name in counted:
            assert name not in after
        elif name not in counted:
            np.testing.assert_array_equal(after[name], tensor, err_msg=name)
        elif case not in REWEIGHTED:
            assert ((after[name] == tensor) | (after[name] == 0)).all(), name
