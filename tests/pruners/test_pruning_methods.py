"""Every method does what its source says: worked examples, other people's implementations, and the papers' procedures written out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import lumpnet
from lumpnet.pruners import GONE
from lumpnet.pruners.folding import kmeans, means
from lumpnet.pruners.spectral import Spectral, sampled
from lumpnet.verdict import Proved
from tests.pruners.pruner_cases import outputs, stayed


def mlp(rows, outgoing, bias=None) -> nn.Sequential:
    """One hidden ReLU layer with these weights."""
    rows, outgoing = torch.tensor(rows, dtype=torch.float32), torch.tensor(outgoing, dtype=torch.float32)
    model = nn.Sequential(nn.Linear(rows.shape[1], len(rows)), nn.ReLU(), nn.Linear(len(rows), len(outgoing), bias=False))
    with torch.no_grad():
        model[0].weight.copy_(rows)
        model[0].bias.copy_(torch.zeros(len(rows)) if bias is None else torch.tensor(bias, dtype=torch.float32))
        model[2].weight.copy_(outgoing)
    return model


def pruned(model, keep, method, inputs=2, **options):
    return lumpnet.prune(model, torch.zeros(2, inputs), method=method, keep=keep, **options)


# -- magnitude ---------------------------------------------------------------------------------


def test_the_norm_chooses():
    """Rows (3, 3) and (0, 5): L1 prefers the first, L2 the second."""
    model = mlp([[3, 3], [0, 5]], [[1, 1]])
    assert stayed(pruned(model, 0.5, "magnitude", norm="l1").changes[0]) == {0}
    assert stayed(pruned(model, 0.5, "magnitude", norm="l2").changes[0]) == {1}


def test_scores_are_norms_of_weights_without_biases():
    change = pruned(mlp([[3, 4], [0, 5], [1, 0]], [[1, 1, 1]], bias=[0, 0, 99]), 0.5, "magnitude").changes[0]
    assert change.scores.tolist() == [5, 5, 1]
    assert change.removed == {"0": [2]}


def test_the_first_of_equals_stays():
    assert stayed(pruned(mlp([[1, 0], [0, 1], [-1, 0]], [[1, 2, 3]]), 0.3, "magnitude").changes[0]) == {0}


def test_norms_of_a_stream_are_joint():
    """Two layers that meet in a sum: the unit that is small in one and large in the other stays."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(1, 2), nn.Linear(1, 2), nn.Linear(2, 1)
            with torch.no_grad():
                self.a.weight.copy_(torch.tensor([[2.0], [1.0]]))
                self.b.weight.copy_(torch.tensor([[2.0], [9.0]]))

        def forward(self, x):
            return self.c(torch.relu(self.a(x) + self.b(x)))

    change = pruned(Sum(), 0.5, "magnitude", inputs=1, norm="l1").changes[0]
    assert change.operators == ("a", "b")
    assert change.scores.tolist() == [4, 10]
    assert change.removed == {"a": [0], "b": [0]}


@pytest.mark.parametrize(("norm", "order"), [("l1", 1), ("l2", 2)])
def test_units_are_those_of_torch(norm, order):
    """`torch.nn.utils.prune.ln_structured` on a plain convolution keeps the same filters."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 10, 3), nn.ReLU(), nn.Conv2d(10, 2, 3))
    found = lumpnet.prune(model, torch.zeros(2, 3, 8, 8), method="magnitude", keep=0.3, norm=norm)
    other = nn.Conv2d(3, 10, 3)
    other.load_state_dict(model[0].state_dict())
    torch_prune.ln_structured(other, "weight", amount=7, n=order, dim=0)
    assert stayed(found.changes[0]) == set(other.weight_mask.flatten(1).any(1).nonzero().ravel().tolist())


def test_weights_are_those_of_torch():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    found = lumpnet.prune(model, torch.zeros(2, 3, 8, 8), method="magnitude", keep=0.25, of="weights")
    for layer, key in ((model[0], "0.weight"), (model[3], "3.weight")):
        n = layer.weight.numel()
        torch_prune.l1_unstructured(layer, "weight", amount=n - int(np.ceil(n / 4)))
        np.testing.assert_array_equal(found.masked.graph.tensors[key], layer.weight.detach().numpy())


def test_shared_weights_are_counted_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.t, self.o = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.o(torch.relu(self.t(torch.relu(self.t(torch.relu(self.a(x)))))))

    torch.manual_seed(2)
    found = pruned(Tied(), 0.5, "magnitude", inputs=3, of="weights")
    assert [c.before for c in found.changes] == [18, 36, 12]
    units = pruned(Tied(), 0.5, "magnitude", inputs=3)
    assert [(c.before, c.after) for c in units.changes] == [(6, 3)], "what a shared layer reads and makes leaves together"
    assert isinstance(units.verdict, Proved)


def test_a_bias_or_batch_norm_does_not_outlive_its_unit():
    """A zero row would leave a constant behind; a unit that is not read leaves nothing."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Sigmoid(), nn.Conv2d(4, 2, 3, padding=1)).eval()
    with torch.no_grad():
        model[1].bias.fill_(5.0)
    found = lumpnet.prune(model, torch.zeros(2, 1, 5, 5), method="magnitude", keep=0.5)
    assert found.network.graph.value("0").shape[1] == 2
    keep = sorted(stayed(found.changes[0]))
    small = nn.Conv2d(4, 2, 3, padding=1)
    small.load_state_dict(model[3].state_dict())
    x = torch.randn(3, 1, 5, 5)
    with torch.no_grad():
        gone = [k for k in range(4) if k not in keep]
        small.weight[:, gone] = 0
        torch.testing.assert_close(found.model(x), small(model[:3](x)), rtol=1e-5, atol=1e-5)


# -- random ------------------------------------------------------------------------------------


def test_random_draws_every_unit_alike():
    model = mlp(np.eye(4)[:, :2] + 1.0, [[1, 2, 3, 4]])
    network = lumpnet.lift(model, torch.zeros(2, 2))
    counts = np.zeros(4)
    for seed in range(200):
        found = lumpnet.pruners.make("random", {}).prune(lumpnet.pruners.Task(network.graph, keep=lumpnet.pruning._share(0.5), seed=seed))
        counts[sorted(stayed(found.changes[0]))] += 1
    assert counts.sum() == 400
    assert (abs(counts - 100) < 40).all(), "six standard deviations"


# -- merge_similar -----------------------------------------------------------------------------


def as_published(rows, outgoing, count):
    """Srinivas and Babu, section 3: the matrix of saliencies, its least entry, surgery; over and over. Returns kept units and their outgoing weights."""
    names, rows, outgoing = list(range(len(rows))), rows.copy(), outgoing.copy()
    while len(names) > count:
        best = min(
            (float((outgoing[:, j] ** 2).mean() * ((rows[i] - rows[j]) ** 2).sum()), j, i) for i in range(len(names)) for j in range(len(names)) if i != j
        )
        _, j, i = best
        outgoing[:, i] += outgoing[:, j]
        names.pop(j)
        rows, outgoing = np.delete(rows, j, axis=0), np.delete(outgoing, j, axis=1)
    return names, outgoing


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.8])
def test_merging_is_the_published_surgery(keep, rng):
    rows, bias, outgoing = rng.normal(size=(10, 3)).astype(np.float32), rng.normal(size=10).astype(np.float32), rng.normal(size=(2, 10)).astype(np.float32)
    found = pruned(mlp(rows, outgoing, bias), keep, "merge_similar", inputs=3)
    names, weights = as_published(np.column_stack([rows, bias]).astype(np.float64), outgoing.astype(np.float64), int(10 * keep))
    into = found.changes[0].into
    assert sorted(stayed(found.changes[0])) == names
    order = np.argsort([into.tolist().index(name) for name in names])  # a class stands where its first member stood
    np.testing.assert_allclose(found.network.graph.tensors["2.weight"], weights[:, order], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.network.graph.tensors["0.weight"], rows[names][order])


def test_merging_prefers_what_is_alike_and_hardly_read():
    """Units 0 and 1 differ by 1 and 1 is read with 0.1; units 2 and 3 differ by 0.5 and are read with 10."""
    model = mlp([[1, 0], [2, 0], [0, 5], [0, 5.5]], [[1, 0.1, 10, 10]])
    change = pruned(model, 0.75, "merge_similar").changes[0]
    assert change.merged == {"0": [(1, 0)]}
    assert change.scores[1] == pytest.approx(0.01)


def test_twins_merge_for_nothing(rng):
    rows = rng.normal(size=(4, 3)).astype(np.float32)
    model = mlp(np.concatenate([rows, rows]), rng.normal(size=(2, 8)))
    for method in ("merge_similar", "folding"):
        found = pruned(model, 0.5, method, inputs=3, **({"tries": 20} if method == "folding" else {}))
        assert found.masked.data == found.original.data, method
        assert found.network.graph.value("0").shape[1] == 4


# -- folding -----------------------------------------------------------------------------------


def test_folding_writes_the_mean_and_adds_what_is_read():
    model = mlp([[1, 0], [0, 8], [3, 0]], [[1, 7, 2], [5, 7, 4]], bias=[2, 0, 4])
    found = pruned(model, 0.6, "folding", tries=10)
    np.testing.assert_array_equal(found.masked.graph.tensors["0.weight"], [[2, 0], [0, 8], [2, 0]])
    np.testing.assert_array_equal(found.masked.graph.tensors["0.bias"], [3, 0, 3])
    np.testing.assert_array_equal(found.masked.graph.tensors["2.weight"], [[1, 7, 2], [5, 7, 4]])
    np.testing.assert_array_equal(found.network.graph.tensors["2.weight"], [[3, 7], [9, 7]])
    assert found.changes[0].merged == {"0": [(2, 0)]}
    assert found.changes[0].scores.tolist() == pytest.approx([2**0.5, 0, 2**0.5])


def test_folding_averages_batch_norms_and_depthwise_kernels():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3, groups=2), nn.Conv2d(2, 1, 1)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape) + 0.5)
            assert name
    found = lumpnet.prune(model, torch.zeros(2, 1, 4, 4), method="folding", keep=0.5)
    before, after = found.original.graph.tensors, found.masked.graph.tensors
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "3.weight", "3.bias"):
        mean = before[name].astype(np.float64).mean(axis=0).astype(np.float32)
        np.testing.assert_array_equal(after[name], np.stack([mean, mean]), err_msg=name)
    np.testing.assert_array_equal(after["4.weight"], before["4.weight"])
    assert found.network.graph.value("3").shape[1] == 1
    np.testing.assert_allclose(outputs(found.network)[0], outputs(found.masked)[0], rtol=1e-5)


def test_what_does_not_change_keeps_its_bits():
    """The mean of one row is that row, and a zero keeps its sign."""
    model = mlp([[-0.0, 1], [2, -0.0], [0.5, 3]], [[1, -0.0, 2]])
    for method in ("folding", "merge_similar", "magnitude"):
        assert pruned(model, 1, method).masked.data == pruned(model, 1, method).original.data
    after = pruned(mlp([[-0.0, 1], [-0.0, 1.5], [9, 3]], [[1, 1, 1]]), 0.6, "folding", tries=5).masked.graph.tensors["0.weight"]
    assert after[:, 0].tolist() == [0, 0, 9]
    assert after[0].tobytes() == after[1].tobytes(), "equal units are equal to the bit"


def test_clusters_far_apart_are_found(rng):
    centres = rng.normal(size=(5, 6)) * 100
    label = np.concatenate([np.arange(5), rng.integers(0, 5, size=30)])
    rows = centres[label] + rng.normal(size=(35, 6))
    tries = [kmeans(rows, 5, rng, 100) for _ in range(20)]
    found, cost = min(tries, key=lambda one: one[1])
    assert len({(a, b) for a, b in zip(found.tolist(), label.tolist(), strict=True)}) == 5
    assert cost == pytest.approx(((rows - means(rows, found)[found]) ** 2).sum())


def test_the_best_of_several_starts_counts():
    """The first start is the same for any number of them."""
    rng = np.random.default_rng(0)
    model = mlp(rng.normal(size=(30, 2)), rng.normal(size=(1, 30)))
    one, many = ((pruned(model, 0.3, "folding", tries=tries).changes[0].scores ** 2).sum() for tries in (1, 10))
    assert many < one


def test_no_row_is_nearer_to_another_mean(rng):
    """Where Lloyd's rounds end."""
    rows = rng.normal(size=(60, 3))
    label, _ = kmeans(rows, 6, rng, 1000)
    apart = ((rows[:, None] - means(rows, label)[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(apart.argmin(axis=1), label)


@pytest.mark.parametrize("count", [1, 3, 7, 8])
def test_no_cluster_is_empty(count, rng):
    """Even where rows are equal, there are as many clusters as asked."""
    rows = np.repeat(rng.normal(size=(2, 3)), 4, axis=0)
    label, _ = kmeans(rows, count, rng, 100)
    assert sorted(set(label.tolist())) == list(range(count))


# -- ispasp ------------------------------------------------------------------------------------


def published_ispasp(hidden, block, count, rounds=20):
    """The paper's loop by automatic differentiation over all examples: hidden (examples, units, ...), `block` what reads it, without constants."""
    size = hidden.sum(dim=tuple(k for k in range(hidden.dim()) if k != 1))
    kept: set[int] = set()
    for _ in range(rounds):
        mask = torch.zeros(len(size), dtype=torch.float64)
        mask[sorted(kept)] = 1
        mask = mask.reshape([-1 if k == 1 else 1 for k in range(hidden.dim())])
        x = hidden.clone().requires_grad_()
        (0.5 * (block(x) - block(hidden * mask)) ** 2).sum().backward()
        y = x.grad.sum(dim=tuple(k for k in range(hidden.dim()) if k != 1))
        candidates = sorted(set(torch.argsort(y, descending=True)[: 2 * count].tolist()) | kept)
        new = {candidates[k] for k in torch.argsort(size[candidates], descending=True)[:count].tolist()}
        if new == kept:
            break
        kept = new
    return kept


@pytest.mark.parametrize("count", [1, 4, 11])
def test_ispasp_on_two_layers_is_the_papers_loop(count, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 5))
    x = torch.randn(30, 6)
    change = lumpnet.prune(model, x[:2], method="ispasp", keep=count / 40, data=x).changes[0]
    wide = copy.deepcopy(model).double()
    with torch.no_grad():
        hidden = wide[:2](x.double())
    weight = wide[2].weight.detach()
    assert stayed(change) == published_ispasp(hidden, lambda h: h @ weight.T, count)
    np.testing.assert_allclose(change.scores[sorted(stayed(change))], hidden.sum(dim=0)[sorted(stayed(change))], rtol=1e-9)


def test_ispasp_looks_behind_the_norm_and_at_what_the_pruned_layers_give(seed):
    """Two convolutions with norms in a row: the second is judged on inputs through the pruned first, both behind the norms that follow."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(2, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 3, 3, padding=1), nn.BatchNorm2d(3)),
    ).eval()
    with torch.no_grad():
        for norm in (model[1], model[4], model[7]):
            norm.weight.uniform_(0.1, 3)
            norm.bias.normal_()
            norm.running_var.uniform_(0.1, 4)
    x = torch.randn(9, 2, 7, 7)
    found = lumpnet.prune(model, x[:2], method="ispasp", keep=0.25, data=x)
    wide = copy.deepcopy(model).double()

    def behind(conv, norm):
        zero = torch.zeros(1, conv.in_channels, 7, 7, dtype=torch.float64)

        def block(h):
            return norm(conv(h)) - norm(conv(zero[..., : h.shape[2], : h.shape[3]]))

        return block

    with torch.no_grad():
        hidden = wide[:3](x.double())
    first = published_ispasp(hidden, behind(wide[3], wide[4]), 3)
    assert stayed(found.changes[0]) == first
    with torch.no_grad():
        hidden[:, [k for k in range(12) if k not in first]] = 0
        second = wide[3:6](hidden)
    kept = published_ispasp(second, behind(wide[6], wide[7]), 4)
    assert stayed(found.changes[1]) == kept
    np.testing.assert_allclose(found.changes[1].scores[sorted(kept)], second.sum(dim=(0, 2, 3))[sorted(kept)], rtol=1e-9)
    assert isinstance(found.verdict, Proved)


def test_ispasp_leaves_streams_and_bottlenecks_alone():
    class Stream(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = nn.Linear(3, 6), nn.Linear(6, 8), nn.Linear(8, 6), nn.Linear(6, 4)
            self.e = nn.Linear(4, 2)

        def forward(self, x):
            x = torch.relu(self.a(x))
            return self.e(self.d(torch.relu(x + self.c(torch.relu(self.b(x))))))

    torch.manual_seed(0)
    x = torch.randn(20, 3)
    found = lumpnet.prune(Stream(), x[:2], method="ispasp", keep=0.5, data=x)
    assert [c.operators for c in found.changes] == [("b",)]
    reasons = dict(found.skipped)
    assert "make it together" in reasons["a", "c"]
    assert "negative values on the data" in reasons[("d",)]
    signed = lumpnet.prune(Stream(), x[:2], method="ispasp", keep=0.5, data=x, signed=True)
    assert [c.operators for c in signed.changes] == [("b",), ("d",)]


def test_ispasp_counts_its_work():
    lines: list[str] = []
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 5))
    lumpnet.prune(model, torch.zeros(2, 6), method="ispasp", keep=0.1, data=torch.randn(30, 6), progress=lines.append)
    (line,) = [line for line in lines if line.startswith("i-SpaSP")]
    rounds = int(line.split(": ")[1].split()[0])
    assert line == f"i-SpaSP 0: {rounds} rounds, {2 * rounds} evaluations of one example"


# -- spectral ----------------------------------------------------------------------------------


def test_lead_keeps_most_of_the_leading_spectrum_to_first_order(rng):
    """No other choice of so many entries has a larger sum of `s_i u_i^T W' v_i`."""
    matrix = rng.normal(size=(7, 6))
    found = Spectral(rank=2)._masked(matrix, 12)
    left, values, right = np.linalg.svd(matrix)

    def kept(other):
        return sum(values[i] * left[:, i] @ other @ right[i] for i in range(2))

    assert np.count_nonzero(found) == 12
    for _ in range(300):
        other = np.where(rng.permutation(42).reshape(7, 6) < 12, matrix, 0)
        assert kept(other) <= kept(found) * (1 + 1e-12)
    assert kept(found) > kept(Spectral(by="threshold")._masked(matrix, 12))


def test_threshold_is_magnitude():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 5, 3), nn.Flatten(), nn.Linear(180, 4))
    one, two = (
        lumpnet.prune(model, torch.zeros(2, 2, 6, 6), method=m, keep=0.2, **o) for m, o in (("spectral", {"by": "threshold"}), ("magnitude", {"of": "weights"}))
    )
    assert one.masked.data == two.masked.data


@pytest.mark.parametrize("by", ["lead", "threshold", "dz"])
def test_no_singular_value_moves_further_than_is_said(by):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 12))
    found = lumpnet.prune(model, torch.zeros(2, 2, 6, 6), method="spectral", keep=0.3, by=by)
    for change, name in zip(found.changes, ("0.weight", "3.weight"), strict=True):
        before, after = (network.graph.tensors[name].astype(np.float64) for network in (found.original, found.masked))
        before, after = before.reshape(len(before), -1), after.reshape(len(after), -1)
        moved, spectra = change.scores
        values = [np.linalg.svd(m, compute_uv=False) for m in (before, after)]
        assert moved == pytest.approx(np.linalg.norm(before - after, 2), rel=1e-5)
        assert np.abs(values[0] - values[1]).max() <= moved * (1 + 1e-6)
        leading = [v[:10] for v in values]
        assert spectra == pytest.approx(np.linalg.norm(leading[0] - leading[1]) / np.linalg.norm(leading[0]), rel=1e-4)


def test_sampling_is_right_in_the_mean(rng):
    matrix = np.array([[3.0, 0.01, -1.0], [2.0, -0.5, 0.0]])
    mean = np.mean([sampled(matrix, 4, 0.12, rng) for _ in range(20000)], axis=0)
    np.testing.assert_allclose(mean, [[3, 0, -1], [2, -0.5, 0]], atol=0.1)
    assert all(np.count_nonzero(sampled(matrix, 4, 0.12, rng)) <= 4 for _ in range(50))


# -- neuron_merging ----------------------------------------------------------------------------


def test_a_multiple_is_merged_into_what_it_is_a_multiple_of():
    model = mlp([[4, 0], [1, 0], [0, 3], [0, -1]], [[1, 2, 3, 4]], bias=[8, 2, 1, -5])
    found = pruned(model, 0.5, "neuron_merging")
    (change,) = found.changes
    assert change.into.tolist() == [0, 0, 2, GONE]
    assert change.scale.tolist() == [1, 0.25, 1, 1]
    assert change.scores[1] == pytest.approx(1)
    np.testing.assert_array_equal(found.masked.graph.tensors["2.weight"], [[1.5, 0, 3, 0]])
    np.testing.assert_array_equal(found.masked.graph.tensors["0.weight"], model[0].weight.detach().numpy())
    assert change.merged == {"0": [(1, 0)]}
    assert change.removed == {"0": [3]}
    assert stayed(pruned(model, 0.5, "neuron_merging", threshold=-1.0).changes[0]) == {0, 2}


def test_multiples_are_merged_through_a_norm(seed):
    """Rows that are multiples, and norms that make the outputs multiples as well: the network computes what it did.

    All rows are multiples of one, so that only the shifts tell which unit stands for which.
    """
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 3, 3, padding=1)).double().eval()
    conv, norm = model[0], model[1]
    with torch.no_grad():
        for tensor in (norm.weight, norm.running_var):
            tensor.uniform_(0.5, 2)
        for tensor in (norm.bias, norm.running_mean):
            tensor.normal_()
        for k, factor, scale in ((3, 0.5, 2.0), (4, 0.25, 3.0), (5, 0.125, 0.7)):  # unit k is scale times unit k - 3
            conv.weight[k], conv.bias[k] = factor * conv.weight[k - 3], conv.bias[k - 3] + 1
            gain = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.weight[k] = scale * gain[k - 3] / factor * (norm.running_var[k] + norm.eps).sqrt()
            norm.running_mean[k] = factor * (norm.running_mean[k - 3] - conv.bias[k - 3]) + conv.bias[k]
            norm.bias[k] = scale * norm.bias[k - 3]
        conv.weight[1:3] = conv.weight[0]
        conv.weight[:3] *= torch.tensor([8.0, 9.0, 10.0])[:, None, None, None] / conv.weight[:3].flatten(1).norm(dim=1)[:, None, None, None]
        for k, factor in ((3, 0.5), (4, 0.25), (5, 0.125)):
            conv.weight[k] = factor * conv.weight[k - 3]
    x = torch.randn(4, 2, 6, 6).double()
    found = lumpnet.prune(model, x[:2], method="neuron_merging", keep=0.5)
    assert found.changes[0].into.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_allclose(found.changes[0].scale[3:], [2, 3, 0.7], rtol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), model(x), rtol=1e-9, atol=1e-9)


def test_neuron_merging_says_what_it_leaves_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.LeakyReLU(), nn.Linear(4, 2))
    found = pruned(model, 0.5, "neuron_merging", inputs=3)
    assert [c.operators for c in found.changes] == [("2",)]
    assert found.skipped[0] == (("0",), "1 (tanh) is not known to let multiples of a unit pass")


# -- greedy ------------------------------------------------------------------------------------


def published_greedy(added, count, patience):
    """Forward selection with repeats, candidate by candidate: added (units, numbers) is what each unit adds; returns picks and what is left after each."""
    n, picks, left, waited = len(added), [], [], 0
    whole = added.sum(axis=0)
    while len(set(picks)) < count:
        tried = {}
        for k in range(n):
            if k not in picks or waited < patience:
                tried[k] = ((whole - n * added[[*picks, k]].mean(axis=0)) ** 2).sum()
        best = min(tried, key=lambda k: tried[k])
        waited = waited + 1 if best in picks else 0
        picks.append(best)
        left.append(tried[best] / (whole**2).sum())
    return picks, left


@pytest.mark.parametrize("patience", [0, 4])
def test_greedy_picks_what_is_best_with_those_before(patience, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))
    x = torch.randn(15, 4)
    found = lumpnet.prune(model, x[:2], method="greedy", keep=0.25, data=x, patience=patience)
    wide = copy.deepcopy(model).double()
    with torch.no_grad():
        hidden = wide[:2](x.double()).numpy()
    outgoing = wide[2].weight.detach().numpy()
    picks, left = published_greedy(np.einsum("bk,ok->kbo", hidden, outgoing).reshape(24, -1), 6, patience)
    (change,) = found.changes
    assert stayed(change) == set(picks)
    times = np.bincount(picks, minlength=24)
    np.testing.assert_allclose(found.masked.graph.tensors["2.weight"], outgoing * times * 24 / len(picks), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(change.scores[picks[0]], left[0], rtol=1e-6)
    np.testing.assert_allclose(change.scale[sorted(stayed(change))], times[sorted(stayed(change))] * 24 / len(picks))
    assert patience or times.max() == 1


def test_greedy_through_convolutions_is_what_the_network_does():
    """What is left by the table of products is what is seen behind the reader and its norm."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(2, 10, 3, padding=1), nn.ReLU(), nn.Conv2d(10, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4)).eval()
    with torch.no_grad():
        model[3].weight.uniform_(0.2, 3)
    x = torch.randn(8, 2, 6, 6)
    lines: list[str] = []
    found = lumpnet.prune(model, x[:2], method="greedy", keep=0.3, data=x, progress=lines.append)
    assert any(line.startswith("greedy 0: ") and "10 units" in line for line in lines)
    wide, small = copy.deepcopy(model).double(), found.model.double()
    with torch.no_grad():
        nothing = wide[2:](torch.zeros(1, 10, 6, 6, dtype=torch.float64))
        left = ((wide(x.double()) - small(x.double())) ** 2).sum() / ((wide(x.double()) - nothing) ** 2).sum()
    scores = found.changes[0].scores
    assert np.isclose(scores, float(left), rtol=1e-5).sum() == 1, "what was left when the last unit came in"


# -- pivoting ----------------------------------------------------------------------------------


def test_the_order_alone_changes_nothing():
    """Blocks as small as a weight, of which the masks in the old order are magnitude's."""
    torch.manual_seed(6)
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 3))
    x = torch.randn(20, 5)
    one, two = (lumpnet.prune(model, x[:2], method=m, keep=0.4, **o) for m, o in (("pivoting", {"block": 1}), ("magnitude", {"of": "weights"})))
    assert {c.operators for c in one.changes if c.what == "order"} == {("0",), ("2",)}
    assert any((c.scores != np.arange(c.before)).any() for c in one.changes if c.what == "order")
    with torch.no_grad():
        torch.testing.assert_close(one.model.double()(x.double()), two.model.double()(x.double()), rtol=1e-9, atol=1e-9)


def test_zeros_come_in_blocks():
    torch.manual_seed(7)
    model = nn.Sequential(nn.Conv2d(3, 10, 3), nn.ReLU(), nn.Conv2d(10, 9, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4))
    found = lumpnet.prune(model, torch.zeros(2, 3, 6, 6), method="pivoting", keep=0.3, block=4)
    for name in ("0.weight", "2.weight", "5.weight"):
        tensor = found.masked.graph.tensors[name]
        for i in range(0, tensor.shape[0], 4):
            for j in range(0, tensor.shape[1], 4):
                block = tensor[i : i + 4, j : j + 4]
                assert (block == 0).all() or (block != 0).all()
        assert 0 < np.count_nonzero(tensor) <= max(0.3 * tensor.size + 1, 16 * tensor[0, 0].size)


# -- eigendamage -------------------------------------------------------------------------------


def test_the_three_layers_are_the_projected_layer(seed):
    """Against the module with `P_G W P_A` in place of W, projections read off the outer layers; for matrices, and kernels with stride and padding."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2, padding=1, dilation=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64, 60), nn.ReLU(), nn.Linear(60, 5)),
    )
    x = torch.randn(40, 3, 6, 6)
    found = lumpnet.prune(model, x[:2], method="eigendamage", keep=0.3, data=x)
    tensors = {name: t.astype(np.float64) for name, t in found.masked.graph.tensors.items()}
    projected = copy.deepcopy(model).double()
    assert [c.operators for c in found.changes] == [("0",), ("2",), ("5",)]
    assert {operators: reason.split(" would")[0] for operators, reason in found.skipped} == {("7",): "three layers"}
    for change in found.changes:
        (name,) = change.operators
        parts = [tensors[f"{name}.{part}.weight"] for part in ("in", "core", "out")]
        assert change.after == sum(p.size for p in parts)
        into, core, out = (p.reshape(*p.shape[:2], -1) for p in parts)
        into, out = into[:, :, 0], out[:, :, 0]
        np.testing.assert_allclose(into @ into.T, np.eye(len(into)), atol=1e-5)
        np.testing.assert_allclose(out.T @ out, np.eye(out.shape[1]), atol=1e-5)
        layer = projected[int(name)]
        before = layer.weight.detach().numpy().reshape(*layer.weight.shape[:2], -1)
        np.testing.assert_allclose(core, np.einsum("oit,op,qi->pqt", before, out, into), atol=1e-5)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.einsum("pqt,op,qi->oit", core, out, into)).reshape(layer.weight.shape))
    with torch.no_grad():
        torch.testing.assert_close(found.model.double()(x.double()), projected(x.double()), rtol=1e-4, atol=1e-4)
    assert isinstance(found.verdict, Proved)


def test_directions_without_weight_go_first(seed):
    """Inputs in a subspace of three dimensions, answers that depend on two directions of the layer: three and two directions lose nothing."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, 10), nn.Linear(10, 4)).double()
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(4, 2).double() @ torch.randn(2, 10).double())
    x = torch.randn(50, 3).double() @ torch.randn(3, 12).double()
    found = lumpnet.prune(model, x[:2], method="eigendamage", keep=0.25, data=x)
    assert [c.operators for c in found.changes] == [("0",), ("1",)] or [c.operators for c in found.changes] == [("0",)]
    assert found.masked.graph.tensors["0.in.weight"].shape == (3, 12)
    assert found.masked.graph.tensors["0.out.weight"].shape == (10, 3)
    first = copy.deepcopy(model)
    with torch.no_grad():
        into, core, out = (torch.tensor(found.masked.graph.tensors[f"0.{part}.weight"]) for part in ("in", "core", "out"))
        first[0].weight.copy_(out @ core @ into)
        torch.testing.assert_close(first(x), model(x), rtol=1e-6, atol=1e-6)
