"""What every subcommand does alike: progress on standard error, JSON alone on standard output, errors in one paragraph."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from lumpnet.errors import LumpnetError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

USAGE = 2


@contextmanager
def failing_politely() -> Iterator[None]:
    """Turn our errors into one paragraph on standard error and exit code 2."""
    try:
        yield
    except LumpnetError as error:
        fail(str(error))
    except MemoryError:
        fail("lumpnet ran out of memory. Try: a machine with more memory, or a smaller model")


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


def visible(text: object) -> str:
    """Names come from files: control characters are shown, not obeyed."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))


def printable(text: object) -> str:
    """`visible`, for rich: what looks like markup is none."""
    return escape(visible(text))


def count(value: int) -> str:
    return f"{value:,}"


def above(value: float) -> str:
    """Three digits, rounded up."""
    return _three(value, ROUND_CEILING)


def below(value: float) -> str:
    """Three digits, rounded down."""
    return _three(value, ROUND_FLOOR)


def _three(value: float, rounding: str) -> str:
    rounded = float(Context(prec=3, rounding=rounding).create_decimal(Decimal(value)))
    return f"{rounded:,.0f}" if 1000 <= rounded < 1e6 else f"{rounded:.3g}"


def percent(before: int, after: int) -> str:
    return f"-{100 * (before - after) / before:.1f} %" if before else "-"
