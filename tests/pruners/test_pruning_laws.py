"""Laws of every method on generated networks of all families: shares, seeds, order, and the certified way to the small network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

import lumpnet
from lumpnet.api import Network
from lumpnet.testing import FAMILIES, as_trained, networks
from lumpnet.verdict import Proved
from tests.pruners.pruner_cases import ALL, AT_LEAST, KEEPS, SEED, TRAINED, UNITS, examples, outputs, seeds, share, stayed, units, units_asked

trained = pytest.mark.parametrize("family", sorted(FAMILIES))
any_method = pytest.mark.parametrize("case", ALL)


def prune(network, case, keep, seed=0):
    method, options = ALL[case]
    return lumpnet.prune(network, method=method, keep=keep, seed=seed, data=examples(network, case), **options)


@any_method
@hypothesis_seed(SEED)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(planted=networks(), keep=st.sampled_from(KEEPS))
def test_the_small_network_computes_the_masked_one(case, planted, keep):
    """Proved by the checker from the files, and seen on random inputs; redundancy is planted, so reduction has more to do than the method left."""
    found = prune(Network(planted.graph), case, keep)
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
            assert found.changes, f"as_trained({seed}, {family!r})"
            for change in found.changes:
                asked = share(keep, change.before)
                assert change.after == asked or (case in AT_LEAST and change.after > asked)
                if change.what == "weights":
                    assert change.after == sum(int(np.count_nonzero(found.masked.graph.tensors[t])) for t in weight_of(network, change))
                    continue
                assert len(stayed(change)) == change.after
            if case in UNITS | TRAINED:
                left, asked = units(found.network), units_asked(found)
                assert all(left[value] <= asked[value] for value in left), f"as_trained({seed}, {family!r})"
                if set(found.compaction.totals()) <= {"unobserved", "equal"}:  # what reads one unit only can become proportional on top
                    assert left == asked, f"as_trained({seed}, {family!r})"


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
        for a, b in zip(less.changes, more.changes, strict=True):
            assert a.after <= b.after
            if a.what == "units" and case not in {"folding", *TRAINED}:
                assert stayed(a) <= stayed(b)
        if case not in UNITS | TRAINED:
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
