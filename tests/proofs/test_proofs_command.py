"""`python -m proofs` and `python -m proofs.trusted`: what they print and how they exit."""

import pytest

from proofs import __main__ as command
from proofs import trusted
from proofs.lemmas import relu
from proofs.registry import rules


def test_the_table_fits_a_terminal_and_the_exit_code_is_zero(capsys):
    assert command.main(["relu", "tanh", "-v"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith(f"{sum('proved' in line for line in lines)} lemmas, 0 not shown")
    assert any("without 'scale is positive'" in line for line in lines)


def test_a_broken_lemma_is_told_and_the_exit_code_is_one(monkeypatch, capsys):
    monkeypatch.setattr(relu, "LEMMAS", (relu.LEMMAS[0].without("scale is positive"),))
    assert command.main(["relu"]) == 1
    out = capsys.readouterr().out
    assert "NOT SHOWN" in out
    assert "counterexample" in out
    assert "1 lemmas, 1 not shown" in out


def test_an_unknown_rule_is_named(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["nonsense"])
    assert stop.value.code == 2
    assert "no rule 'nonsense'" in capsys.readouterr().err


SOURCE = '''"""Two
lines."""

# a comment
x = 1  # counted


def f():
    """One."""
    return """a string
    that is no docstring"""
'''


def test_code_and_docstrings_are_counted_apart():
    assert trusted.count(SOURCE) == (4, 3)
    assert trusted.count("") == (0, 0)


def test_the_trusted_base_is_listed_with_its_total(tmp_path):
    (tmp_path / "lumpnet" / "check" / "rules").mkdir(parents=True)
    (tmp_path / "lumpnet" / "errors.py").write_text("x = 1\n")
    (tmp_path / "lumpnet" / "check" / "rules" / "relu.py").write_text(SOURCE)
    rows = [line.split() for line in trusted.table(tmp_path).splitlines()]
    assert rows[1:] == [["lumpnet/errors.py", "1", "0"], ["lumpnet/check/rules/relu.py", "4", "3"], ["total", "5", "3"]]


def test_the_trusted_base_of_this_repository_is_found():
    listed = {path.relative_to(trusted.ROOT).as_posix() for path in trusted.files()}
    assert {"lumpnet/errors.py", "lumpnet/verdict.py"} <= listed


def test_every_trusted_file_is_justified_in_words():
    """A new file of the checker needs a row in "The trusted base" of proofs/README.md."""
    readme = (trusted.ROOT / "proofs" / "README.md").read_text(encoding="utf-8")
    listed = {path.relative_to(trusted.ROOT).as_posix() for path in trusted.files()}
    assert sorted(name for name in listed if f"| `{name}` |" not in readme) == []
    assert sorted(line.split("`")[1] for line in readme.splitlines() if line.startswith("| `lumpnet/")) == sorted(listed)


def test_every_rule_has_a_row_in_the_readme():
    readme = (trusted.ROOT / "proofs" / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert [rule for rule in rules() if not any(f"`{rule}`" in row for row in rows)] == []
