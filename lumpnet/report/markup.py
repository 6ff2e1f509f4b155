"""HTML and SVG as values: the one place where text becomes markup.

Whatever is not `Markup` is text and is escaped. Elements are closed and attributes quoted, so that a page is well-formed XML as well.
"""

from __future__ import annotations

from html import escape

from lumpnet.figures import visible

HEAD, TAIL, TITLE, PROSE = 44, 16, 200, 1500
"""Characters of a long name at its ends and in its tooltip; of a sentence."""
_VOID = ("br", "meta")


class Markup(str):
    """Text that is markup already: made by `tag`, and by `verbatim` of this package's own constants."""

    __slots__ = ()


def shown(value: object) -> Markup:
    """Markup as it is, anything else as text: control characters made visible, then escaped for contents and quoted attributes."""
    return value if isinstance(value, Markup) else Markup(escape(visible(value)))


def verbatim(constant: str) -> Markup:
    """A constant of this package: the style sheet, an empty string."""
    return Markup(constant)


def tag(kind: str, *children: object, **attributes: object) -> Markup:
    """An element; None among children and attributes is left out, `class_` is `class` and `_` in names `-`."""
    head = "".join(f' {name.rstrip("_").replace("_", "-")}="{shown(_plain(value))}"' for name, value in attributes.items() if value is not None)
    inside = "".join(shown(child) for child in children if child is not None)
    return Markup(f"<{kind}{head}/>" if kind in _VOID else f"<{kind}{head}>{inside}</{kind}>")


def joined(*children: object) -> Markup:
    return Markup("".join(shown(child) for child in children if child is not None))


def name(text: object, head: int = HEAD, tail: int = TAIL) -> Markup:
    """A name from a file: its direction of writing kept from its surroundings, shortened in the middle where it is long."""
    whole = str(text)
    if len(whole) <= head + tail + 8:
        return tag("bdi", whole, class_="name")
    short = f"{whole[:head]} … {whole[-tail:]}"
    return tag("bdi", short, class_="name", title=f"{whole[:TITLE]}{' …' if len(whole) > TITLE else ''} ({len(whole):,} characters)")


def prose(text: object) -> str:
    """A sentence that may quote names, cut where it is beyond reading."""
    whole = str(text)
    return whole if len(whole) <= PROSE else f"{whole[:PROSE]} … ({len(whole):,} characters)"


def svg(width: float, height: float, title: str, *children: object, class_: str = "") -> Markup:
    """A picture that says in words what it shows."""
    return tag("svg", tag("title", title), *children, viewBox=f"0 0 {width:g} {height:g}", role="img", class_=class_ or None)


def _plain(value: object) -> object:
    return f"{round(value, 2) + 0.0:g}" if isinstance(value, float) else value
