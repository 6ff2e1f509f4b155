"""`python -m proofs.trusted`: the files that a checked verdict rests on, and how long they are.

A line counts if it holds a token that is not a comment; the lines of docstrings
are counted apart. The files are read as text, never imported.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALONE = ("lumpnet/__init__.py", "lumpnet/certificate.py", "lumpnet/errors.py", "lumpnet/verdict.py")
PACKAGE = "lumpnet/check"
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}


def files(root: Path = ROOT) -> tuple[Path, ...]:
    """The trusted files that exist, in a fixed order."""
    alone = [root / name for name in ALONE if (root / name).is_file()]
    return (*alone, *sorted((root / PACKAGE).rglob("*.py")))


def count(source: str) -> tuple[int, int]:
    """(lines of code, lines of docstrings): disjoint, without blank and comment lines."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    alive = {row for token in tokens if token.type not in SILENT for row in range(token.start[0], token.end[0] + 1)}
    blank = {row for row, text in enumerate(source.splitlines(), start=1) if not text.strip()}
    told = set(_docstring_rows(ast.parse(source)))
    return len(alive - told - blank), len(told - blank)


def _docstring_rows(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            yield from range(text.lineno, (text.end_lineno or text.lineno) + 1)


def table(root: Path = ROOT) -> str:
    rows = [(path.relative_to(root).as_posix(), *count(path.read_text(encoding="utf-8"))) for path in files(root)]
    total = ("total", sum(row[1] for row in rows), sum(row[2] for row in rows))
    head = f"{'file':48} {'code':>6} {'docstrings':>11}"
    return "\n".join([head, *(f"{name:48} {code:6} {told:11}" for name, code, told in (*rows, total))])


if __name__ == "__main__":
    print(table())
    sys.exit(0)
