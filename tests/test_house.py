"""The house keeps its floors: imports go down only, the checker trusts nobody, the README names every operator."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lumpnet
from lumpnet.ops import kinds

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lumpnet"

FLOOR = {
    "errors": 0, "verdict": 0, "figures": 0, "ir": 0, "exact": 0, "certificate": 0, "check": 0, "domain": 1,
    "partition": 1, "ops": 2, "lump": 3, "quotient": 4, "evidence": 4, "lift": 5, "lower": 5, "bounds": 5, "pruners": 5,
    "parallel": 5, "shown": 5, "network": 6, "executing": 6, "api": 6, "pruning": 6, "audit": 6,
    "sweeping": 6, "report": 6, "testing": 6, "cli": 7, "__main__": 8,
}  # fmt: skip
CHECKER_MAY_IMPORT = {"lumpnet.errors", "lumpnet.verdict", "lumpnet.certificate", "lumpnet.check", "numpy", *sys.stdlib_module_names}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "lumpnet" else {module}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path) - {"lumpnet.__version__"}:
        if name.startswith("lumpnet."):
            other = name.split(".")[1]
            assert other == room or FLOOR[other] <= FLOOR[room], f"{room} imports {other}"


@pytest.mark.parametrize("path", [*(PACKAGE / "check").rglob("*.py"), PACKAGE / "certificate.py"], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_checker_imports_nothing_it_should_distrust(path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        assert any(".".join(parts[:k]) in CHECKER_MAY_IMPORT for k in range(1, len(parts) + 1)), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", [*(PACKAGE / "check").rglob("*.py"), PACKAGE / "certificate.py"], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_checker_does_not_assert(path: Path) -> None:
    assert not [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)], "asserts vanish under python -O"


def test_no_tolerance_where_decisions_are_made() -> None:
    for room in ("exact", "partition", "ops", "lump", "quotient", "check"):
        for path in (PACKAGE / room).rglob("*.py"):
            assert not re.search(r"\b(allclose|isclose)\b", path.read_text()), path


def test_the_checker_loads_without_torch_and_friends() -> None:
    heavy = {"torch", "z3", "sympy", "networkx", "safetensors", "typer", "rich"}
    code = f"import sys, lumpnet.check, lumpnet.check.__main__; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_verdict_is_never_a_bool() -> None:
    for verdict in (lumpnet.Proved("exact", "none"), lumpnet.Refuted("why"), lumpnet.Unknown("why")):
        with pytest.raises(TypeError, match="not a bool"):
            bool(verdict)


def test_the_readme_has_a_row_for_every_operator() -> None:
    table = (ROOT / "README.md").read_text().split("## What it can remove")[1].split("## ")[0]
    for kind in kinds():
        assert f"`{kind}`" in table, f"the README's table has no row for {kind}"


def test_the_front_door_offers_what_it_lists() -> None:
    for name in lumpnet.__all__:
        assert getattr(lumpnet, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        lumpnet.nothing_of_the_sort  # noqa: B018


def test_a_package_and_the_function_of_its_name_are_one(tmp_path: Path) -> None:
    """Whatever was imported before: `lumpnet.lift` is the room and the function."""
    code = "\n".join(
        [
            "import torch, lumpnet, lumpnet.lift.torch, lumpnet.lower.torch, lumpnet.check.run",
            "model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))",
            "network = lumpnet.lift(model, torch.zeros(2, 2))",
            "result = lumpnet.reduce(network)",
            "lumpnet.lower(result.network)(torch.zeros(1, 2))",
            "print(type(lumpnet.check(network, result.network, result.certificate)).__name__, lumpnet.check.check_files.__name__)",
        ]
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["Proved", "check_files"], done.stderr
