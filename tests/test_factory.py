"""`lumpnet reduce PACKAGE.MODULE:FACTORY --weights FILE.safetensors`: the user's code, weights that cannot run anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn
from typer.testing import CliRunner

import lumpnet
from lumpnet.cli.app import app

CODE = """
import torch
from torch import nn

def net():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.fc = nn.Embedding(7, 3), nn.Linear(2, 3)
    def forward(self, tokens, x):
        return self.table(tokens).mean(1) + self.fc(x)

def nothing():
    return 7

def broken():
    raise RuntimeError("no data here")
"""


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lumpnet_zoo.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    sys.modules.pop("lumpnet_zoo", None)
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout + done.stderr


def weights(folder: Path) -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight[1], net[0].bias[1] = 2 * net[0].weight[0], 2 * net[0].bias[0]
    save_model(net, str(folder / "w.safetensors"))
    return net


def test_code_and_weights_give_the_network(zoo: Path) -> None:
    net = weights(zoo)
    code, text = run("reduce", "lumpnet_zoo:net", "--weights", "w.safetensors", "--input-shape", "3", "--dtype", "float64", "-o", "out.safetensors")
    assert code == 0, text
    assert "4 -> 3" in text
    assert (zoo / "out.original.safetensors").read_bytes() == lumpnet.lift(net, torch.zeros(2, 3)).data
    assert isinstance(lumpnet.check("out.original.safetensors", "out.safetensors", "out.safetensors.cert.json"), lumpnet.Proved)


def test_show_takes_it_too_with_tied_weights_and_several_inputs(zoo: Path) -> None:
    tied = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    tied["b"].weight = tied["a"].weight
    save_model(tied, str(zoo / "tied.safetensors"))
    assert run("show", "lumpnet_zoo:Tied", "--weights", "tied.safetensors", "--input-shape", "3")[0] == 0
    assert run("show", "lumpnet_zoo:Two", "--input-shape", "5:int64", "--input-shape", "2")[0] == 0


def test_half_precision_weights_load_without_loss_and_wider_ones_do_not(zoo: Path) -> None:
    net = weights(zoo)
    for dtype, expected in ((torch.float16, 0), (torch.bfloat16, 0), (torch.float64, 2)):
        save_file({name: tensor.to(dtype) for name, tensor in net.state_dict().items()}, zoo / "w.safetensors")
        code, text = run("show", "lumpnet_zoo:net", "--weights", "w.safetensors", "--input-shape", "3")
        assert code == expected, text
    assert "is F64, the module's is float32" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lumpnet_zoo:net"], "no input shape"),
        (["lumpnet_zoo:net", "--input-shape", "3,x"], "no shape"),
        (["lumpnet_zoo:net", "--input-shape", "999999999,999999999"], "no memory"),
        (["lumpnet_zoo:nothing", "--input-shape", "3"], "it gives a int"),
        (["lumpnet_zoo:broken", "--input-shape", "3"], "no data here"),
        (["lumpnet_zoo:missing", "--input-shape", "3"], "has no attribute 'missing'"),
        (["lumpnet_nowhere:net", "--input-shape", "3"], "No module named"),
        (["lumpnet_zoo:net", "--input-shape", "5"], "torch.export stopped"),
        (["lumpnet_zoo:net", "--input-shape", "3", "--weights", "w.pth"], "pickles are not opened"),
        (["lumpnet_zoo:net", "--input-shape", "3", "--weights", "nowhere.safetensors"], "not a readable safetensors file"),
        (["lumpnet_zoo:Tied", "--input-shape", "3", "--weights", "w.safetensors"], "its tensors are not the module's"),
        (["w.safetensors", "--input-shape", "3"], "are for code"),
    ],
)
def test_what_does_not_fit_says_so(arguments: list[str], words: str, zoo: Path) -> None:
    weights(zoo)
    code, text = run("show", *arguments)
    assert code == 2, text
    assert words in text
    assert text.count("\n") == 1
    assert "Try" in text


def test_weights_are_not_overwritten(zoo: Path) -> None:
    weights(zoo)
    before = (zoo / "w.safetensors").read_bytes()
    assert run("reduce", "lumpnet_zoo:net", "--weights", "w.safetensors", "--input-shape", "3", "-o", "w.safetensors")[0] == 2
    assert (zoo / "w.safetensors").read_bytes() == before
