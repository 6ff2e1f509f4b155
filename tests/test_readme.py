"""The README's example does what its comments say."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def block(name: str) -> str:
    text = README.read_text().split(f"<!-- ci: {name} -->\n")[1]
    return text.split("\n", 1)[1].split("```")[0]


def test_the_example_runs_and_says_what_it_promises(tmp_path: Path) -> None:
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block("example"), "README.md", "exec"), {})
    finally:
        os.chdir(here)
    text = " ".join(out.getvalue().split())
    assert "exact: the reduced network computes the same real function" in text
    assert "hidden units 8 -> 7" in text
    assert "proportional 1" in text
    assert {p.name for p in tmp_path.iterdir()} == {"original.safetensors", "reduced.safetensors", "certificate.json"}


def test_the_example_is_short() -> None:
    lines = [line for line in block("example").splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 12
