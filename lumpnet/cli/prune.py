"""`lumpnet prune`: a shipped or installed pruning method, and exact lumping of what it left behind."""

from __future__ import annotations

import os
from pathlib import Path

from rich.table import Table

from lumpnet.cli.console import count, fail, out, print_json, printable, progress
from lumpnet.cli.model import Given
from lumpnet.cli.reduce import print_sizes
from lumpnet.pruners import from_texts
from lumpnet.pruning import Pruning, compaction_line, files
from lumpnet.pruning import prune as run


def prune(given: Given, method: str, keep: float, data: Path | None, seed: int, options: list[str], target: Path, *, json: bool, quiet: bool) -> int:
    """Returns the exit code of the checker's verdict on the compaction; files are written only for a proved one."""
    if target.suffix not in (".safetensors", ".onnx"):
        what = "a lumpnet network file or an ONNX model, so its name ends in .safetensors or .onnx"
        fail(f"{target}: the output is {what}. Try: -o {target.with_suffix('.safetensors')}")
    written, read = files(target), [*given.files(), *([data] if data else [])]
    if {os.path.realpath(p) for p in read} & {os.path.realpath(p) for p in written}:
        fail(f"the model or the data would be overwritten ({', '.join(map(str, written))} are written). Try: another -o")
    for path in written:
        if path.is_dir() or not path.parent.is_dir():
            fail(f"{path}: cannot be written. Expected a file in an existing folder. Try: another -o.")
    chosen = from_texts(method, options)
    with progress(not json and not quiet) as tell:
        tell("lift")
        result = run(*given.arguments(), method=method, keep=keep, data=data, seed=seed, folder=target.parent, progress=tell, **chosen)
    if result.verdict.exit_code == 0:
        result.save(target)
    if json:
        print_json(result.as_dict())
        return result.verdict.exit_code
    if not quiet:
        _print(result)
        if result.verdict.exit_code == 0:
            out.print(f"wrote {', '.join(printable(p) for p in written[:-1])} and {printable(written[-1])}", soft_wrap=True)
    out.print(printable(compaction_line(result.verdict)), soft_wrap=True)
    return result.verdict.exit_code


def _print(result: Pruning) -> None:
    """Sizes, and per layer what the method kept."""
    print_sizes(result)
    if result.changes:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column, justify in (("layer", "left"), ("", "left"), ("before", "right"), ("kept", "right")):
            table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for change in result.changes:
            table.add_row(printable(", ".join(change.operators)), change.what, count(change.before), count(change.after))
        out.print()
        out.print(table)
    for operators, reason in result.skipped:
        out.print(f"left alone: {printable(', '.join(operators))}: {printable(reason)}")
    out.print("\nThe function has changed; by how much is not certified here.")
