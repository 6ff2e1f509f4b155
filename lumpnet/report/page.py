"""The page around the facts: one file without scripts and outside resources, or a piece of a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lumpnet.report.markup import Markup, joined, tag, verbatim
from lumpnet.report.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
BADGES = {"holds": "\u2713", "refuted": "\u2717", "unknown": "?"}


@dataclass(frozen=True)
class Page:
    """A title and sections; equal pages give equal bytes."""

    title: str
    sections: tuple[Markup, ...]

    def html(self) -> str:
        """The whole file."""
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("title", self.title),
            tag("style", STYLE),
        )
        return f"<!DOCTYPE html>\n{tag('html', head, tag('body', tag('main', *self.sections), class_='lumpnet file'), lang='en')}\n"

    def fragment(self) -> str:
        """For notebooks: its style reaches nothing outside of it."""
        return tag("div", tag("style", STYLE), tag("main", *self.sections), class_="lumpnet")


def headline(kicker: object, outcome: str, word: str, sentence: object) -> Markup:
    """The verdict: a sign, a word, a sentence. outcome is holds, refuted or unknown."""
    badge = tag("span", tag("span", BADGES[outcome], class_="sign", aria_hidden="true"), tag("span", word), class_=f"badge {outcome}")
    return tag("header", tag("p", kicker, class_="kicker"), tag("h1", badge), tag("p", sentence, class_="lead"))


def section(title: str, *children: object, lead: object = None) -> Markup:
    return tag("section", tag("h2", title), None if lead is None else tag("p", lead, class_="note"), *children)


def facts(rows: Iterable[tuple[object, object]]) -> Markup:
    """Terms and what is said of them; a value that is None is left out."""
    return tag("dl", *(joined(tag("dt", term), tag("dd", value)) for term, value in rows if value is not None))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> Markup:
    """The columns `numbers` are set flush right."""

    def cells(kind: str, row: Sequence[object]) -> Markup:
        return tag("tr", *(tag(kind, cell, class_="number" if k in numbers else None) for k, cell in enumerate(row)))

    top = tag("thead", cells("th", head)) if any(head) else verbatim("")
    return tag("div", tag("table", top, tag("tbody", *(cells("td", row) for row in rows))), class_="wide")


def folded(title: object, *children: object) -> Markup:
    """Details on demand, without a script."""
    return tag("details", tag("summary", title), *children)


def items(texts: Iterable[object]) -> Markup:
    return tag("ul", *(tag("li", text) for text in texts))
