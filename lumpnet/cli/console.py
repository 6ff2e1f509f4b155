"""What every subcommand does alike: progress on standard error, JSON alone on standard output, errors in one paragraph."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from lumpnet.errors import LumpnetError
from lumpnet.figures import above, below, count, percent, visible

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

USAGE = 2
INTERRUPTED = 130
__all__ = ["above", "below", "count", "err", "fail", "failing_politely", "out", "percent", "print_json", "printable", "progress", "reported", "visible"]


@contextmanager
def failing_politely() -> Iterator[None]:
    """Turn our errors into one paragraph on standard error and exit code 2, an interrupt into one word and 130."""
    before = signal.getsignal(signal.SIGINT)
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    except LumpnetError as error:
        fail(str(error))
    except MemoryError:
        fail("lumpnet ran out of memory. Try: a machine with more memory, or a smaller model")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)


def _interrupt(*args: Any) -> NoReturn:
    """Threads of a pool that goes down with us have nothing to say."""
    threading.excepthook = lambda args: None
    raise KeyboardInterrupt


def fail(text: str) -> NoReturn:
    line = f"error: {' '.join(visible(text).split())}"
    print(textwrap.fill(line, err.width) if sys.stderr.isatty() else line, file=sys.stderr)
    raise typer.Exit(USAGE)


@contextmanager
def progress(show: bool) -> Iterator[Callable[[str], None]]:
    """A spinner with the current phase, on a terminal's standard error only."""
    if not show or not sys.stderr.isatty():
        yield lambda text: None
        return
    with err.status("starting") as status:
        yield lambda text: status.update(printable(text))


def print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2, sort_keys=False, allow_nan=False) + "\n")


def printable(text: object) -> str:
    """`visible`, for rich: what looks like markup is none."""
    return escape(visible(text))


def reported(report: Path | None, others: Iterable[Path]) -> None:
    """Refuse a report that could not be written, or that would overwrite another file of the command."""
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm"):
        fail(f"{report}: the report is a web page, so its name ends in .html. Try: --report {report.with_suffix('.html')}")
    if report.is_dir() or not report.parent.is_dir():
        fail(f"{report}: cannot be written. Expected a file in an existing folder. Try: another --report.")
    if os.path.realpath(report) in {os.path.realpath(path) for path in others}:
        fail(f"{report}: the report would overwrite another file of this command. Try: another --report.")
