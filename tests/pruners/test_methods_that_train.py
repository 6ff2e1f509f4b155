"""What training for a pruner means: the published formulas by hand, the searches as laws, plain torch loops, and nothing of the caller's state touched."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

import lumpnet
from lumpnet.errors import PruneError
from lumpnet.ops.sites import run
from lumpnet.pruners import GONE, Task, make
from lumpnet.pruners.data import data_for
from lumpnet.pruners.evolution import Floor, Searched, generation
from lumpnet.pruners.incremental import Fading
from lumpnet.pruners.ising import couplings, entropies, symmetric_kl
from lumpnet.pruners.pressure import increment
from lumpnet.pruners.probabilistic import Odds
from lumpnet.pruners.training.grda import GRDA, GroupedGRDA, growth
from lumpnet.pruners.training.network import Trainee, isolated
from lumpnet.verdict import Proved
from tests.pruners.pruner_cases import AT_LEAST, SEED, TRAINED

any_trained = pytest.mark.parametrize("case", TRAINED)


class Small(nn.Module):
    """Convolutions with batch norms in a residual sum, dropout, and a linear layer."""

    def __init__(self, act=torch.relu):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.c2, self.n2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.drop, self.fc, self.act = nn.Dropout(0.3), nn.Linear(6, 3), act

    def forward(self, x):
        x = self.act(self.n1(self.c1(x)))
        x = self.act(self.n2(self.c2(x)) + x)
        return self.fc(self.drop(x.mean((2, 3))))


def small(act=torch.relu, seed=SEED) -> nn.Module:
    torch.manual_seed(seed)
    return Small(act).eval()


def perceptron(hidden=12, inputs=3, classes=3, seed=SEED) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


IMAGES, CLASSES = np.random.default_rng(0).normal(size=(20, 1, 4, 4)).astype(np.float32), np.arange(20) % 3
ROWS = np.random.default_rng(1).normal(size=(24, 3)).astype(np.float32)
LABELS = (ROWS.sum(axis=1) > 0).astype(np.int64) + (ROWS[:, 0] > 0.5)


def pruned(model, case, keep=0.5, data=(IMAGES, CLASSES), **options):
    method, given = TRAINED[case]
    return lumpnet.prune(model, torch.from_numpy(data[0][:2]), method=method, keep=keep, data=data, **(given | options))


def trainee_of(model, data, seed=0, keep=0.5) -> Trainee:
    network = lumpnet.lift(model, torch.from_numpy(data[0][:2]))
    return Trainee(Task(network.graph, Fraction(str(keep)), seed, data_for(network.graph.inputs, data)), "test")


# -- training ----------------------------------------------------------------------------------


def test_a_step_is_torchs_own():
    """The user's module in training mode, on the same minibatches, ends with the same numbers, running statistics among them."""
    model = small()
    model.drop.p = 0.0
    with isolated(0):
        trainee = trainee_of(model, (IMAGES, CLASSES))
        optimizer = torch.optim.SGD(trainee.parameters.values(), lr=0.1, momentum=0.9)
        other = copy.deepcopy(model).train()
        same = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
        batches = list(trainee.batches(3, 7, "here"))
        for batch in batches:
            trainee.step(optimizer, batch)
            same.zero_grad()
            nn.functional.cross_entropy(other(*batch.inputs), batch.labels).backward()
            same.step()
        graph = trainee.graph()
    assert [len(b.labels) for b in batches] == [7, 7, 6] * 3
    assert len({tuple(b.labels.tolist()) for b in batches}) > 3, "every epoch has an order of its own"
    for name, tensor in other.state_dict().items():
        if name in graph.tensors:
            np.testing.assert_array_equal(graph.tensors[name], tensor.numpy(), err_msg=name)
    assert not np.array_equal(graph.tensors["n1.running_mean"], model.n1.running_mean.numpy()), "statistics were measured"
    assert {"c1.weight", "n2.bias", "n2.running_var", "fc.bias"} <= set(graph.tensors) & set(other.state_dict())


@pytest.mark.parametrize("keep", [0.3, 0.6])
def test_a_mask_is_zeros_where_a_unit_is_read(keep, rng):
    """The masked module, the graph written with the mask, and the module with silenced readers agree; masked weights get no gradient."""
    with isolated(0):
        trainee = trainee_of(small(), (IMAGES, CLASSES))
        stays = [rng.random(len(layer)) < keep for layer in trainee.layers]
        trainee.module.eval()
        batch = next(trainee.batches(1, 20, "here"))
        masked = trainee.logits(batch, stays)
        nn.functional.cross_entropy(masked, batch.labels).backward()
        graph = trainee.graph(stays)
        whole = trainee.logits(batch)
    values = run(graph, {graph.inputs[0].name: batch.inputs[0].numpy()})
    np.testing.assert_allclose(masked.detach().numpy(), values[graph.outputs[0]], rtol=1e-4, atol=1e-5)
    for layer, stay in zip(trainee.layers, stays, strict=True):
        for slot in layer.reads:
            gone = layer.at[slot.value][~stay].ravel()
            assert not graph.tensors[slot.tensor].swapaxes(0, slot.axis)[gone].any()
            assert not trainee.parameters[slot.tensor].grad.movedim(slot.axis, 0)[gone].any()
            assert trainee.parameters[slot.tensor].detach().movedim(slot.axis, 0)[gone].any(), "the weights behind the mask are kept"
    assert all(stay.all() for stay in stays) or not torch.allclose(masked, whole)


@any_trained
def test_nothing_of_the_callers_is_touched(case):
    """Neither generators nor modes, whatever they are; and the network does not depend on them."""
    model, found = small(), []
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        torch.manual_seed(len(found))
        np.random.seed(len(found))
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.get_num_threads()
        with mode():
            found.append(pruned(model, case, seed=4).masked.data)
        after = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.get_num_threads()
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
        assert torch.is_grad_enabled()
    assert found[0] == found[1] == found[2]
    assert pruned(model, case, seed=5).masked.data != found[0], "the seed counts"


@any_trained
def test_what_is_said_is_what_happened(case):
    """Units that are gone are read with zeros only, or are zero to the bit wherever they pass; all others count."""
    found = pruned(small(), case)
    graph, inputs = found.masked.graph, {found.masked.graph.inputs[0].name: IMAGES[:4]}
    before = run(graph, inputs)[graph.outputs[0]]
    assert isinstance(found.verdict, Proved)
    assert any((c.into == GONE).any() for c in found.changes), "nothing left: this shows nothing"
    for change in found.changes:
        assert change.after == len(set(change.into.tolist()) - {GONE})
    layers = {layer.makers: layer for layer in Task(graph, Fraction(1)).layers}
    tensors = dict(graph.tensors)
    for change in found.changes:
        layer = layers[change.operators]
        assert (layer.entries(graph, layer.reads)[change.into == GONE] == 0).all() or case == "directional"
        layer.rewrite(tensors, layer.rows, lambda numbers, gone=change.into == GONE: np.where(gone[:, None], 0, numbers))
        layer.rewrite(tensors, layer.reads, lambda numbers, gone=change.into == GONE: np.where(gone[:, None], 7, numbers))
    silent = type(graph)(graph.inputs, graph.nodes, graph.outputs, tensors, graph.notes, graph.buffers)
    np.testing.assert_allclose(run(silent, inputs)[graph.outputs[0]], before, rtol=1e-5, atol=1e-5, err_msg="zero rows with any readers are the same")


def test_trained_numbers_are_in_the_small_network():
    """A method that writes back the numbers before training would pass the laws of masks."""
    for case in TRAINED:
        found = pruned(perceptron(), case, data=(ROWS, LABELS), keep=0.8)
        assert not np.array_equal(found.masked.graph.tensors["2.bias"], found.original.graph.tensors["2.bias"]), case


REFUSED = {
    "labels beyond the classes": (lambda: perceptron(), (ROWS, LABELS + 1), "labels from 1 to 3. Expected the classes 0 to 2"),
    "labels below": (lambda: perceptron(), (ROWS, LABELS - 1), "labels from -1 to 1"),
    "an output that is no list of classes": (lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1)), (IMAGES, CLASSES), "outputs of shapes"),
    "no labels": (lambda: perceptron(), ROWS, "no labels"),
}


@pytest.mark.parametrize("what", REFUSED)
@any_trained
def test_refusals(case, what):
    build, data, words = REFUSED[what]
    rows = data[0] if isinstance(data, tuple) else data
    with pytest.raises(PruneError) as caught:
        lumpnet.prune(build(), torch.from_numpy(rows[:2]), method=TRAINED[case][0], keep=0.5, data=data, **TRAINED[case][1])
    assert words in str(caught.value)


def test_divergence_is_an_error():
    with pytest.raises(PruneError, match=r"training diverged: .* is not finite any more.*smaller lr"):
        pruned(perceptron(), "directional", data=(1e3 * ROWS, LABELS), lr=1e30, c=0.0)


@any_trained
def test_layers_of_buffers_are_left_alone(case):
    class Projected(nn.Module):
        """A fixed random projection in front of what is trained."""

        def __init__(self):
            super().__init__()
            self.register_buffer("fixed", torch.randn(12, 3, generator=torch.Generator().manual_seed(0)))
            self.a, self.b = nn.Linear(12, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.b(torch.relu(self.a(torch.relu(nn.functional.linear(x, self.fixed)))))

    torch.manual_seed(SEED)
    found = pruned(Projected(), case, data=(ROWS, LABELS))
    assert [c.operators for c in found.changes] == [("a",)]
    assert found.skipped[0][1].startswith("nothing that makes")
    np.testing.assert_array_equal(found.masked.graph.tensors["fixed"], found.original.graph.tensors["fixed"])


@any_trained
def test_the_summary_says_what_keep_was(case):
    found = pruned(perceptron(), case, data=(ROWS, LABELS))
    assert ("keep at least 0.5 of units" in found.summary()) == (case in AT_LEAST)
    assert ("keep 0.5 of units" in found.summary()) == (case not in AT_LEAST)


@any_trained
def test_progress_names_the_epochs(case):
    told = []
    pruned(perceptron(), case, data=(ROWS, LABELS), progress=told.append)
    assert any(text.startswith(f"{case}: ") and "epoch 1 of" in text for text in told)


# -- the search --------------------------------------------------------------------------------


def test_the_best_energy_never_rises_and_floors_hold(rng):
    """For one energy over many generations; and no candidate ever gets worse."""
    parts = [(slice(0, 9), 4), (slice(9, 20), 2)]
    j = rng.normal(size=(20, 20))
    floor = Floor(parts)
    states = floor.held(rng.random((8, 20)) < 0.5, rng)

    def energy(s):
        return -np.einsum("ni,ij,nj->n", s.astype(float), j, s.astype(float))

    first = last = energy(states)
    for _ in range(60):
        states, energies = generation(states, energy, rng, floor)
        np.testing.assert_array_equal(energies, energy(states))
        assert (energies <= last).all()
        last = energies
        for part, least in parts:
            assert (states[:, part].sum(axis=1) >= least).all()
    assert last.min() < first.min()


def test_a_child_of_equal_energy_does_not_replace(rng):
    states = rng.random((8, 30)) < 0.5
    after, energies = generation(states, lambda s: np.zeros(len(s)), rng, Floor([]))
    np.testing.assert_array_equal(after, states)
    assert energies.tolist() == [0.0] * 8
    lower = iter([np.zeros(8), np.full(8, -1e-12)])
    assert (generation(states, lambda s: next(lower), rng, Floor([]))[0] != states).any()


def test_equal_candidates_are_the_end(rng):
    """Differences are what flips bits."""
    states = np.repeat(rng.random((1, 30)) < 0.5, 8, axis=0)
    lower = iter([np.zeros(8), np.full(8, -1.0)])
    np.testing.assert_array_equal(generation(states, lambda s: next(lower), rng, Floor([]))[0], states)


@pytest.mark.parametrize("n", [4, 7, 8])
def test_equal_couplings_keep_half(n):
    """The rate near one half is built into the energy."""
    states = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    energies = couplings([np.full((n, n), -0.7)], [], [True])(states)
    assert set(states[energies < energies.min() + 1e-9].sum(axis=1).tolist()) <= {n // 2, n - n // 2}


def test_the_energy_is_the_formula(rng):
    """Against one dense matrix over all units: layer by layer, from unit to unit of the next layer, units that cannot leave at 1."""
    sizes, across = [4, 3, 2], [(0, 1, rng.normal(size=4)), (1, 2, rng.normal(size=3))]
    inside = [rng.normal(size=(n, n)) for n in sizes]
    j = np.zeros((9, 9))
    for n, start, block in zip(sizes, (0, 4, 7), inside, strict=True):
        j[start : start + n, start : start + n] = block * (1 - np.eye(n))
    j[0:4, 4:7] = across[0][2][:, None]
    j[4:7, 7:9] = across[1][2][:, None]
    states = rng.random((20, 7)) < 0.5
    whole = np.concatenate([states, np.ones((20, 2), dtype=bool)], axis=1).astype(float)
    want = [-s @ j @ s + s.sum() * j.sum() / 9 for s in whole]
    np.testing.assert_allclose(couplings(inside, across, [True, True, False])(states), want, rtol=1e-9, atol=1e-13)  # sums of order 10 may cancel to 0


def test_divergences_are_torchs(rng):
    samples = rng.normal(size=(4, 50, 3)) * rng.uniform(0.5, 2, size=(4, 1, 3)) + rng.normal(size=(4, 1, 3))
    fitted = [MultivariateNormal(torch.from_numpy(s.mean(axis=0)), torch.from_numpy(np.cov(s.T, bias=True))) for s in samples]
    want = [[float(kl_divergence(p, q) + kl_divergence(q, p)) for q in fitted] for p in fitted]
    np.testing.assert_allclose(symmetric_kl(samples), want, rtol=1e-8, atol=1e-8)


def test_filters_with_the_same_distribution_are_no_duplicates():
    """What the audit must say: a permutation of a filter's weights is at no distance, and computes something else."""
    rows = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [9.0, 2.0, -4.0]])
    apart = symmetric_kl(rows[:, :, None])
    assert apart[0, 1] == 0
    assert apart[0, 2] > 1


def test_entropies():
    x = np.stack([np.full(512, 0.3), np.repeat([-1.0, 1.0], 256), np.arange(512.0)])
    np.testing.assert_allclose(entropies(x), [0, math.log(2) / math.log(256), 1], atol=1e-12)


def test_ising_energy_of_a_perceptron():
    """Rebuilt from the docstring; and of masks without one unit, the one without the dead unit (whose entropy is 0) loses the largest couplings."""
    model = perceptron(hidden=4)
    with torch.no_grad():
        model[0].bias[2] = -100.0
    with isolated(0):
        trainee = trainee_of(model, (ROWS, LABELS))
        energy = make("ising", {}).energy(trainee, next(trainee.batches(1, 24, "here")))
        hidden = model[:2](torch.from_numpy(ROWS)).detach().numpy()
    j = np.zeros((7, 7))
    for at, layer in ((slice(0, 4), model[0]), (slice(4, 7), model[2])):
        apart = symmetric_kl(layer.weight.detach().numpy().astype(float)[:, :, None])
        j[at, at] = (apart / apart.max() - 1) * (1 - np.eye(len(apart)))
    j[0:4, 4:7] = (entropies(hidden.T) - 1)[:, None]
    states = np.concatenate([~np.eye(4, dtype=bool), np.random.default_rng(2).random((9, 4)) < 0.5])
    whole = np.concatenate([states, np.ones((13, 3), dtype=bool)], axis=1).astype(float)
    np.testing.assert_allclose(energy(states), [-s @ j @ s + s.sum() * j.sum() / 7 for s in whole], rtol=1e-5)
    assert int(np.argmin(j[:4, 4])) == 2


def test_training_goes_under_the_best_mask():
    """Where energy is the number of units, few are left; after one generation, as many as its best candidate has."""

    @dataclass(frozen=True)
    class Fewest(Searched):
        name: ClassVar[str] = "fewest"

        def energy(self, trainee, batch):
            return lambda states: states.sum(axis=1).astype(float)

    network = lumpnet.lift(perceptron(hidden=40), torch.from_numpy(ROWS[:2]))
    task = Task(network.graph, Fraction(1, 40), 0, data_for(network.graph.inputs, (ROWS, LABELS)))
    assert Fewest(epochs=10, batch=8, freeze=10, lr=1e-3).prune(task).changes[0].after < 12, "half of 40 at the beginning"
    rng, floor = task.rng(), Floor([(slice(0, 40), 1)])
    _, energies = generation(floor.held(rng.random((8, 40)) < 0.5, rng), lambda states: states.sum(axis=1).astype(float), rng, floor)
    assert len(set(energies.tolist())) > 1
    assert Fewest(epochs=1, batch=24, freeze=1).prune(task).changes[0].after == energies.min()


def test_edropouts_energy_is_the_margin():
    with isolated(0):
        trainee = trainee_of(small(), (IMAGES, CLASSES))
        batch = next(trainee.batches(1, 20, "here"))
        energy = make("edropout", {}).energy(trainee, batch)
        before = {name: t.clone() for name, t in trainee.module.state_dict().items()}
        everything = np.ones((1, sum(map(len, trainee.layers))), dtype=bool)
        found = energy(np.concatenate([everything, ~everything]))
        logits = trainee.module.eval()(*batch.inputs).detach()
    want = np.mean([max(float(row[c]) for c in range(3) if c != y) - float(row[y]) for row, y in zip(logits, batch.labels.tolist(), strict=True)])
    assert found[0] == pytest.approx(want, rel=1e-5)
    bias = trainee.parameters["fc.bias"].detach()
    assert found[1] == pytest.approx(np.mean([float(bias[[c for c in range(3) if c != y]].max() - bias[y]) for y in batch.labels.tolist()]), rel=1e-5)
    assert all(torch.equal(t, before[name]) for name, t in trainee.module.state_dict().items()), "judging changes nothing"


def test_a_frozen_mask_stays():
    """Frozen before the first step, it is the first of the candidates that the seed draws."""
    found = [pruned(perceptron(), case, keep=0.1, data=(ROWS, LABELS), freeze=0, seed=3).changes[0].into.tolist() for case in ("ising", "edropout")]
    assert found[0] == found[1]
    assert pruned(perceptron(), "ising", keep=0.1, data=(ROWS, LABELS), freeze=2, seed=3).changes[0].into.tolist() != found[0]


# -- directional -------------------------------------------------------------------------------


def test_the_threshold_adds_up():
    """`l_k = c lr^(mu + 1/2) k^mu`."""
    for k in (1, 2, 50):
        assert sum(growth(i, 0.1, 0.06, 0.51) for i in range(1, k + 1)) == pytest.approx(0.06 * 0.1**1.01 * k**0.51)


def test_a_step_by_hand():
    """w = 1, -1, .05; gradients .5: v = .95, -1.05, 0 at lr .1. With mu = .5 and c = 1 the threshold is .1, then .1 sqrt(2)."""
    w = nn.Parameter(torch.tensor([1.0, -1.0, 0.05], dtype=torch.float64))
    optimizer = GRDA([w], lr=0.1, c=1.0, mu=0.5)
    (w * 0.5).sum().backward()
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.tensor([0.85, -0.95, 0.0], dtype=torch.float64))
    optimizer.step()
    low = 0.1 * 2**0.5
    torch.testing.assert_close(w.detach(), torch.tensor([0.9 - low, -(1.1 - low), 0.0], dtype=torch.float64))


def test_a_group_by_hand():
    """Row (3, 4) with bias 0 has norm 5 and three numbers; a row of norm below l sqrt(3) becomes zero, the strongest by half at most."""
    for least, want in ((0, [1 - 3**0.5 / 5, 0.0]), (2, [1 - 3**0.5 / 5, 0.5])):
        weight = nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 1.0]], dtype=torch.float64))
        bias, other = nn.Parameter(torch.zeros(2, dtype=torch.float64)), nn.Parameter(torch.tensor([0.01], dtype=torch.float64))
        optimizer = GroupedGRDA([weight, bias, other], [[(weight, 0), (bias, 0)]], lr=1.0, c=1.0, mu=0.5, least=[least])
        (0 * (weight.sum() + bias.sum() + other.sum())).backward()
        optimizer.step()
        factors = torch.tensor(want, dtype=torch.float64)[:, None]
        torch.testing.assert_close(weight.detach(), torch.tensor([[3.0, 4.0], [0.0, 1.0]], dtype=torch.float64) * factors)
        assert other.item() == 0.01, "not penalised"


@pytest.mark.parametrize("kind", ["alone", "in groups"])
def test_without_a_threshold_it_is_sgd(kind):
    model, other = perceptron(), perceptron()
    one = GRDA(model.parameters(), lr=0.1, c=0.0) if kind == "alone" else GroupedGRDA(model.parameters(), [[(model[0].weight, 0)]], lr=0.1, c=0.0)
    two = torch.optim.SGD(other.parameters(), lr=0.1)
    for _ in range(5):
        for net, optimizer in ((model, one), (other, two)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(torch.from_numpy(ROWS)), torch.from_numpy(LABELS)).backward()
            optimizer.step()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_groups_of_one_number_are_the_parent_method():
    start = torch.randn(40, dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))
    one, two = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = GRDA([one], lr=0.3, c=0.5, mu=0.7), GroupedGRDA([two], [[(two, 0)]], lr=0.3, c=0.5, mu=0.7)
    for _ in range(4):
        for w, optimizer in zip((one, two), optimizers, strict=True):
            optimizer.zero_grad()
            (0.1 * w**2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(one, two)
    assert (one == 0).any()


def test_optimizers_save_and_refuse():
    w = nn.Parameter(torch.ones(3))
    optimizer = GRDA([w], lr=0.1, c=1.0)
    w.sum().backward()
    optimizer.step()
    other = GRDA([w], lr=0.1, c=1.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["threshold"] == optimizer.param_groups[0]["threshold"] > 0
    for wrong in ({"lr": 0.0}, {"c": -1.0}, {"mu": 1.0}):
        with pytest.raises(ValueError, match="use lr above 0"):
            GRDA([w], **wrong)


def test_zero_groups_are_zero_in_all_their_layers():
    """Rows, batch norms' scales and shifts, in every summand of the stream; exact lumping removes just these."""
    found = pruned(small(), "directional", keep=0.2)
    (change,) = found.changes
    assert change.operators == ("c1", "c2")
    gone = np.flatnonzero(change.into == GONE)
    assert 0 < len(gone) <= 4
    assert (change.scores[gone] == 0).all()
    assert (change.scores[change.into != GONE] > 0).all()
    for name in ("c1.weight", "n1.weight", "n1.bias", "c2.weight", "c2.bias", "n2.weight", "n2.bias"):
        assert not found.masked.graph.tensors[name][gone].any(), name
    assert found.network.graph.value("c1").shape[1] == change.after == 6 - len(gone)


def test_zero_rows_in_front_of_a_sigmoid_make_one_constant_class():
    found = pruned(small(torch.sigmoid), "directional", keep=0.2, c=600.0)
    (change,) = found.changes
    zero = np.flatnonzero(change.scores == 0)
    assert len(zero) > 1
    assert GONE not in change.into
    assert set(change.into[zero].tolist()) == {zero[0]}
    assert change.after == 6 - len(zero) + 1
    assert isinstance(found.verdict, Proved)


def test_rows_that_are_another_layers_too_are_not_zeroed():
    class Shared(nn.Module):
        """Two layers with one batch norm."""

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.n, self.d = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(4), nn.Linear(6, 3)

        def forward(self, x):
            x = torch.relu(self.n(self.b(torch.relu(self.n(self.a(x))))))
            return self.d(torch.relu(self.c(x)).mean((2, 3)))

    torch.manual_seed(SEED)
    found = pruned(Shared().eval(), "directional", keep=0.2)
    assert [c.operators for c in found.changes] == [("c",)]
    assert [why.split(" ", 1)[1] for _, why in found.skipped[:2]] == ["shares a parameter with another layer"] * 2
    assert found.masked.graph.tensors["a.weight"].any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(("shift", "left"), [(0.0, 5), (2.0, 6)])
def test_a_batch_norms_shift_left_alone_is_a_constant(shift, left):
    """Why the shift is part of the group: with it the channel is a constant, which behind zero padding cannot leave."""
    model = small()
    with torch.no_grad():
        for layer in (model.c1.weight, model.n1.weight, model.c2.weight, model.c2.bias, model.n2.weight, model.n2.bias):
            layer[1] = 0
        model.n1.bias[1] = shift
    reduced = lumpnet.reduce(model, torch.zeros(2, 1, 4, 4))
    assert reduced.network.graph.value("c1").shape[1] == left


# -- incremental and probabilistic -------------------------------------------------------------


@pytest.mark.parametrize("leaving", [1, 5, 48])
@pytest.mark.parametrize("u", [0.25, 0.1])
def test_the_increment(leaving, u):
    """A at rank 0, uA at N, continuous there, falling; point-symmetric about N; 0 at rank K, up below and down above."""
    a, n = 3.0, -math.log(u) / (math.log(2 / u) / leaving)
    ranks = np.linspace(0, 2 * n, 201)
    values = increment(ranks, leaving, a, u)
    assert values[0] == a
    assert increment(np.array([n]), leaving, a, u)[0] == pytest.approx(u * a)
    assert abs(np.diff(values)).max() < 0.1 * a, "no jump"
    assert (np.diff(values) < 0).all()
    np.testing.assert_allclose(values + values[::-1], 2 * u * a)
    assert increment(np.array([leaving]), leaving, a, u)[0] == pytest.approx(0, abs=1e-12)
    assert (increment(np.arange(leaving), leaving, a, u) > 0).all()
    assert (increment(np.arange(leaving + 1, leaving + 9), leaving, a, u) < 0).all()


def test_ranks_are_averaged_over_time_among_what_stays():
    layer = Fading(np.ones(4), 2, small=0.01)
    for norms in ([1, 2, 3, 4], [1, 2, 3, 4], [4, 3, 2, 1]):
        layer.grow(np.array(norms, dtype=float), most=1.0, u=0.25)
    assert layer.ranked(layer.ranks).tolist() == [0, 1, 2, 3]
    layer.remove(np.array([0]))
    assert layer.ranked(layer.ranks).tolist() == [-1, 0, 1, 2]
    assert layer.leaving == 1


def test_penalties_grow_on_the_small_and_fall_on_the_large():
    layer, norms = Fading(np.ones(8), 4, small=0.0), np.arange(1.0, 9.0)
    for _ in range(3):
        layer.grow(norms, most=1.0, u=0.25)
    assert (layer.pressure[:4] > 0).all()
    assert layer.pressure[4] == pytest.approx(0, abs=1e-12)
    assert (layer.pressure[5:] == 0).all(), "never below 0"
    assert (np.diff(layer.pressure[:4]) < 0).all()
    np.testing.assert_allclose(layer.factors(0.5), 1 / (1 + 0.5 * layer.pressure))
    before = layer.pressure[0]
    for _ in range(30):
        layer.grow(norms[::-1].copy(), most=1.0, u=0.25)
    assert layer.pressure[0] < before, "recovery"


def test_what_fades_leaves_and_no_more_than_has_to():
    layer, method = Fading(np.full(5, 100.0), 2, small=0.01), make("incremental", {})
    layer.update(np.array([0.9, 50.0, 0.5, 0.7, 0.0]), method)
    assert layer.stays.tolist() == [True, True, False, True, False], "the two most faded"
    assert layer.leaving == 0
    assert layer.share.tolist() == pytest.approx([0.009, 0.5, 0.005, 0.007, 0.0])
    late = Fading(np.full(3, 100.0), 1, small=0.01)
    assert late.finish(np.array([30.0, 20.0, 40.0])).tolist() == pytest.approx([0.3, 0.2, 0.4])
    assert late.stays.tolist() == [True, False, True], "when time is up, the smallest"


def test_norms_at_the_removal_are_small():
    """With time enough, all that leave have faded, and the others have not."""
    found = pruned(perceptron(), "incremental", keep=0.25, data=(ROWS, LABELS), epochs=300, most=1.0, lr=0.05, batch=8)
    (change,) = found.changes
    assert (change.scores[change.into == GONE] <= 0.01).all()
    assert (change.scores[change.into != GONE] > 0.01).all()


def test_masks_are_drawn_with_their_probabilities(rng):
    odds = Odds(np.ones(3), 1)
    odds.pressure = np.array([0.0, 0.3, 0.9])
    shares = np.mean([odds.mask(rng) for _ in range(4000)], axis=0)
    assert (abs(shares - [1, 0.7, 0.1]) < 0.05).all(), "six standard deviations"
    assert shares[0] == 1


def test_probabilities_freeze_at_one():
    odds, method = Odds(np.ones(4), 2), make("probabilistic", {"most": 0.6})
    seen = []
    while odds.leaving:
        odds.update(np.array([1.0, 2.0, 3.0, 4.0]), method)
        assert ((odds.pressure >= 0) & (odds.pressure <= 1)).all()
        seen.append(odds.stays.tolist())
    assert seen[-1] == [False, False, True, True]
    assert all(a >= b for one, two in pairwise(seen) for a, b in zip(one, two, strict=True)), "what has left does not come back"
    assert odds.mask(np.random.default_rng(0)).tolist() == seen[-1], "the others are masked no more"
    assert odds.finish(np.ones(4))[:2].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("case", ["incremental", "probabilistic"])
def test_small_units_leave_first(case):
    """One layer with tiny rows that nothing reads for: no step changes the order of the norms, and the tiny ones go."""
    model = perceptron(hidden=8)
    with torch.no_grad():
        model[0].weight[[1, 4, 6]] *= 0.01
        model[0].bias[[1, 4, 6]] = 0
    found = pruned(model, case, keep=0.625, data=(ROWS, LABELS), lr=1e-6)
    assert found.changes[0].removed == {"0": [1, 4, 6]}
