"""A method of one's own: data, training, entry points, options; and what is refused, in which words."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lumpnet
from lumpnet.errors import FileError, LumpnetError, PruneError
from lumpnet.pruners import Change, Pruned, Pruner, Task, best_units, registry
from lumpnet.pruners.data import data_for
from lumpnet.verdict import Proved
from tests.pruners.pruner_cases import SEED


@dataclass(frozen=True)
class MeanActivation(Pruner):
    """Looks at data: units of small mean activation leave."""

    needs: ClassVar[tuple[str, ...]] = ("data",)
    power: float = 1.0

    def prune(self, task: Task) -> Pruned:
        seen: dict[str, np.ndarray] = {}
        module = task.module()
        for name, layer in module.named_modules():
            layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.detach().numpy()}))
        with torch.no_grad():
            module(*(torch.from_numpy(x) for x in task.data.inputs.values()))
        return best_units(task, lambda layer: sum((np.abs(seen[name]) ** self.power).mean(axis=0) for name in layer.makers))


@dataclass(frozen=True)
class TrainedToZero(Pruner):
    """Trains: a few steps of gradient descent with masks on the hidden units, which stay zero."""

    needs: ClassVar[tuple[str, ...]] = ("data", "labels")
    steps: int = 5

    def prune(self, task: Task) -> Pruned:
        (layer,) = [one for one in task.layers if one.kept_by is None]
        module, keep = task.module().train(), task.count(len(layer))
        weights = dict(module.named_parameters())
        optimiser = torch.optim.SGD(weights.values(), lr=0.1)
        (x,), y = (torch.from_numpy(a) for a in task.data.inputs.values()), torch.from_numpy(task.data.labels)
        for _ in range(self.steps):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x), y).backward()
            optimiser.step()
            with torch.no_grad():
                for slot in layer.reads:
                    weights[slot.tensor].movedim(slot.axis, 0)[layer.at[slot.value][keep:].ravel()] = 0
        into = np.where(np.arange(len(layer)) < keep, np.arange(len(layer)), lumpnet.pruners.GONE)
        return Pruned(task.graph_of(module), (Change(layer.makers, "units", len(layer), keep, into, layer.at),))


class Broken(Pruner):
    def prune(self, task: Task) -> Pruned:
        raise ZeroDivisionError("oh")


class Lazy(Pruner):
    def prune(self, task: Task) -> Pruned:
        return task.graph


class Foreign(Pruner):
    """Answers another network."""

    def prune(self, task: Task) -> Pruned:
        return Pruned(lumpnet.lift(nn.Linear(5, 5), torch.zeros(2, 5)).graph, ())


NO_PRUNER = 7
SHIPPED = (
    *("directional", "edropout", "eigendamage", "folding", "greedy", "incremental", "ising", "ispasp", "magnitude", "merge_similar", "neuron_merging"),
    *("pivoting", "probabilistic", "random", "spectral"),
)


@pytest.fixture
def installed(monkeypatch):
    """As if a package had these entry points."""
    names = {"mean": "MeanActivation", "trained": "TrainedToZero", "broken": "Broken", "lazy": "Lazy", "foreign": "Foreign", "seven": "NO_PRUNER"}
    points = [EntryPoint(name, f"{__name__}:{attribute}", registry.GROUP) for name, attribute in names.items()]
    points += [EntryPoint("missing", "no_such_package_here:X", registry.GROUP), EntryPoint("magnitude", f"{__name__}:Broken", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])


@pytest.fixture
def model():
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))


EXAMPLE = torch.zeros(2, 3)
X, Y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 4


def test_the_table_has_what_is_shipped_and_what_is_installed(installed):
    assert set(lumpnet.pruners.available()) == {
        *SHIPPED, *("broken", "foreign", "lazy", "mean", "missing", "seven", "trained"),
    }  # fmt: skip


def test_a_shipped_method_is_not_replaced(installed, model):
    assert lumpnet.prune(model, EXAMPLE, method="magnitude", keep=0.5).changes


def test_a_method_of_ones_own_that_looks_at_data(installed, model):
    found = lumpnet.prune(model, EXAMPLE, method="mean", keep=0.25, data=X, power=2.0)
    with torch.no_grad():
        seen = (model[0](torch.from_numpy(X).float()).numpy() ** 2).mean(axis=0)
    assert set(found.changes[0].removed["0"]) == set(np.argsort(-seen)[2:].tolist())
    assert found.network.graph.value("0").shape == (None, 2)
    assert isinstance(found.verdict, Proved)
    assert found.options == {"power": 2.0}


def test_a_method_of_ones_own_that_trains(installed, model):
    before = {name: t.clone() for name, t in model.state_dict().items()}
    found = lumpnet.prune(model, EXAMPLE, method="trained", keep=0.5, data=(X, Y))
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items()), "the user's module is left alone"
    assert isinstance(found.verdict, Proved)
    assert found.network.graph.value("0").shape == (None, 4)
    rows = found.network.graph.tensors["0.weight"]
    assert rows.shape == (4, 3)
    assert not np.array_equal(rows, before["0.weight"][:4].numpy()), "it was trained"
    assert {name for name, _ in found.model.named_parameters()} == set(before)


def test_data_by_name_in_files_and_with_labels(installed, model, tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "xy.npz", x=X, labels=Y)
    name = lumpnet.lift(model, EXAMPLE).graph.inputs[0].name
    np.savez(tmp_path / "named.npz", **{name: X, "labels": Y})
    whole = lumpnet.prune(model, EXAMPLE, method="mean", keep=0.5, data=X).network.data
    for data in (tmp_path / "x.npy", torch.from_numpy(X), {name: X}, (X.astype(np.float32), Y), X.tolist(), tmp_path / "named.npz"):
        assert lumpnet.prune(model, EXAMPLE, method="mean", keep=0.5, data=data).network.data == whole
    assert lumpnet.prune(model, EXAMPLE, method="trained", keep=0.5, data=tmp_path / "named.npz").changes


def test_data_by_a_loader(installed, model):
    """All its batches, the last one smaller, with labels or by name."""
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    inputs = lumpnet.lift(model, EXAMPLE).graph.inputs
    name = inputs[0].name
    pairs = DataLoader(TensorDataset(x, y), batch_size=len(X) - 1)
    named = DataLoader([{name: one, "labels": label} for one, label in zip(x, y, strict=True)], batch_size=2)
    for loader, labels in ((DataLoader(x, batch_size=2), None), (DataLoader(TensorDataset(x), batch_size=3), None), (pairs, Y), (named, Y)):
        found = data_for(inputs, loader)
        np.testing.assert_array_equal(found.inputs[name], X.astype(np.float32))
        np.testing.assert_array_equal(found.labels, labels)
    by = [lumpnet.prune(model, EXAMPLE, method="trained", keep=0.5, data=data).network.data for data in (pairs, (X, Y))]
    assert by[0] == by[1]


LOADERS = {
    "no batches": (DataLoader(TensorDataset(torch.zeros(0, 3)), batch_size=2), "a loader without batches"),
    "three parts": (DataLoader(TensorDataset(*[torch.zeros(4, 3)] * 3), batch_size=2), "batches of 3 parts"),
    "another shape": (DataLoader(torch.zeros(4, 5), batch_size=2), "an array of shape"),
    "batches that differ": (DataLoader([torch.zeros(2, 3), torch.zeros(2, 4)], batch_size=None), "do not go together"),
}


@pytest.mark.parametrize("which", LOADERS)
def test_loaders_of_something_else_are_refused(model, which):
    loader, says = LOADERS[which]
    with pytest.raises(PruneError, match=says):
        lumpnet.prune(model, EXAMPLE, method="ispasp", keep=0.5, data=loader)


REFUSED = {
    "no such method": ({"method": "optimal_brain"}, f"no method of this name. Expected one of broken, {SHIPPED[0]}"),
    "a package that is not there": ({"method": "missing"}, "no_such_package_here:X cannot be loaded (ModuleNotFoundError"),
    "an entry point that is no pruner": ({"method": "seven"}, "is 7. Expected a subclass of lumpnet.pruners.Pruner"),
    "a method that fails": ({"method": "broken"}, "it failed (ZeroDivisionError: oh)"),
    "a method without an answer": ({"method": "lazy"}, "it answers Graph. Expected a lumpnet.pruners.Pruned"),
    "another network": ({"method": "foreign"}, "it answers a network with other inputs or outputs"),
    "no data": ({"method": "mean"}, "pruner 'mean': no data. Expected examples"),
    "no labels": ({"method": "trained", "data": X}, "pruner 'trained': no labels"),
    "keep 0": ({"keep": 0}, "keep: 0. Expected a share of what stays, above 0 and at most 1"),
    "keep 1.5": ({"keep": 1.5}, "keep: 1.5"),
    "keep nan": ({"keep": float("nan")}, "keep: nan"),
    "keep true": ({"keep": True}, "keep: True"),
    "keep in words": ({"keep": "half"}, "keep: 'half'"),
    "negative seed": ({"seed": -1}, "seed: -1. Expected an integer from 0 on"),
    "seed of another type": ({"seed": 0.5}, "seed: 0.5"),
    "an option nobody has": ({"norms": "l1"}, "it has no option 'norms'. Expected its options of, norm"),
    "a value nobody has": ({"norm": "l3"}, "norm is 'l3'. Expected one of 'l2', 'l1'"),
    "an option of another type": ({"norm": 1}, "norm is 1. Expected a value of type str, as 'l2'"),
    "a flag for a number": ({"method": "folding", "tries": True}, "tries is True. Expected a value of type int"),
    "data of another width": ({"data": X[:, :2]}, "an array of shape (20, 2) for input"),
    "no examples": ({"data": X[:0]}, "0 examples. Expected at least one"),
    "labels of another length": ({"data": (X, Y[:3])}, "3 and 20 examples"),
    "labels that are no classes": ({"data": (X, X)}, "labels of shape (20, 3)"),
    "data that are no numbers": ({"data": X.astype(str)}, "or NaN or infinity among them"),
    "nan among the data": ({"data": X * np.nan}, "or NaN or infinity among them"),
    "ragged data": ({"data": [[1.0], [1.0, 2.0, 3.0]]}, "no array of numbers"),
    "data for another input": ({"data": {"other": X}}, "arrays for 'other'. Expected one for each of"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals(what, installed, model):
    asked, words = REFUSED[what]
    with pytest.raises(PruneError) as caught:
        lumpnet.prune(model, EXAMPLE, **({"method": "magnitude", "keep": 0.5} | asked))
    assert words in str(caught.value)


@pytest.mark.parametrize(("keep", "n", "count"), [(0.07, 100, 7), (0.7, 10, 7), (0.3, 10, 3), (0.31, 10, 4), (1e-9, 5, 1), (1, 5, 5), (np.float64(0.5), 5, 3)])
def test_a_share_is_rounded_up_as_it_is_written(keep, n, count):
    """In floats, 0.07 * 100 is above 7."""
    model = nn.Sequential(nn.Linear(1, n), nn.ReLU(), nn.Linear(n, 1))
    assert lumpnet.prune(model, torch.zeros(2, 1), method="random", keep=keep).changes[0].after == count


def test_unreadable_data(model, tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY nonsense")
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    for name in ("x.npy", "o.npy", "absent.npy"):
        with pytest.raises(FileError, match="cannot be read as arrays"):
            lumpnet.prune(model, EXAMPLE, method="magnitude", keep=0.5, data=tmp_path / name)


def test_a_module_without_example_inputs(model):
    with pytest.raises(LumpnetError, match="without example inputs"):
        lumpnet.prune(model, method="magnitude", keep=0.5)


def test_what_is_written_can_be_checked(model, tmp_path):
    found = lumpnet.prune(model, EXAMPLE, method="magnitude", keep=0.5)
    found.save(tmp_path / "small.safetensors")
    assert {p.name for p in tmp_path.iterdir()} == {"small.safetensors", "small.masked.safetensors", "small.safetensors.cert.json"}
    proof = lumpnet.check(tmp_path / "small.masked.safetensors", tmp_path / "small.safetensors", tmp_path / "small.safetensors.cert.json")
    assert isinstance(proof, Proved)
    assert "by how much is for an audit to say" in str(found)
    assert "left alone: 2: 2 is an output of the network" in found.summary()


def test_parameters_shared_beyond_a_layer_are_not_made_alike():
    """Two layers with one batch norm: averaging its rows for one of them would change the other."""

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.bn = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 1, 1), nn.BatchNorm2d(4)

        def forward(self, x):
            return self.c(torch.relu(self.bn(self.b(torch.relu(self.bn(self.a(x)))))))

    example = torch.zeros(2, 2, 3, 3)
    merged = lumpnet.prune(Shared().eval(), example, method="folding", keep=0.5)
    assert merged.changes == ()
    assert [reason.split(" ", 1)[1] for _, reason in merged.skipped[:2]] == ["shares a parameter with another layer"] * 2
    assert [c.after for c in lumpnet.prune(Shared().eval(), example, method="magnitude", keep=0.5).changes] == [2, 2]
