"""Numbers and names as people read them: rounded to the safe side, and without what a terminal or a page would obey."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal


def visible(text: object) -> str:
    """Names come from files: control characters, line breaks and reordering marks are shown, not obeyed."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))


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
