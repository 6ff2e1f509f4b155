"""Reports in a real browser: they show what they say, fetch nothing, run nothing, and fit a phone."""

from __future__ import annotations

import html
import struct
from pathlib import Path

import pytest

from lumpnet.report import audits, reduction
from lumpnet.report.markup import shown
from lumpnet.report.page import POLICY
from tests.report.browser import CHROMIUM, DARK, beacon, measured, start
from tests.report.cases import BEACON, HOSTILE, POINTS, audited, demo, hostile_pages

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)")

SAYS = {
    "reduce": "exact: proved",
    "refuted": "The certificate is wrong",
    "audit": "no output differs by more than",
    "unknown": "unknown",
    "sweep": "not all bounded",
}


@pytest.mark.parametrize("which", sorted(SAYS))
def test_hostile_names_do_nothing_but_show(which: str, tmp_path: Path) -> None:
    with beacon() as (address, asked):
        found = measured(hostile_pages()[which].html().replace(BEACON, address), tmp_path, 400)
    assert asked == found["fetched"] == []
    assert found["title"].startswith("lumpnet ")
    assert found["owner"] == "around"
    assert (found["scripts"], found["images"], found["handlers"], found["links"]) == (0, 0, 0, 0)
    assert SAYS[which] in found["text"]
    assert "document.title='owned'" in found["text"]
    assert found["wide"] <= found["width"] == 400


@pytest.mark.parametrize("width", [400, 1200])
def test_reports_show_the_verdict_and_fit(width: int, tmp_path: Path) -> None:
    for page, says in ((reduction.page(demo()), "exact: proved"), (audits.page(audited(), points=POINTS[:1]), "bounded: proved")):
        found = measured(page.html(), tmp_path, width)
        assert says in found["text"]
        assert found["fetched"] == []
        assert found["wide"] <= width
        assert found["tall"] > 900
        assert found["pictures"] == 0, "pictures without a width"


def test_the_policy_stops_what_escaping_would_let_through(tmp_path: Path) -> None:
    """Names put in raw: with the policy nothing happens; without it everything does, so that this file can tell."""
    page = reduction.page(demo()).html()
    with beacon() as (address, asked):
        raw = "".join(HOSTILE).replace(BEACON, address)
        opened = page.replace("</main>", f"{raw}</main>").replace("lumpnet reduce", "lumpnet", 1)
        assert measured(opened, tmp_path, 800)["title"] != "owned"
        assert asked == []
        unguarded = opened.replace(str(shown(POLICY)), "")
        found = measured(unguarded, tmp_path, 800)
    assert found["title"] == "owned"
    assert found["scripts"] > 0
    assert any(path.startswith("/img") for path in asked)


def test_dark_and_light(tmp_path: Path) -> None:
    page = reduction.page(demo()).html()
    light, dark = measured(page, tmp_path, 800), measured(page, tmp_path, 800, DARK)
    assert (light["background"], dark["background"]) == ("rgb(255, 255, 255)", "rgb(20, 23, 27)")
    assert light["text"] == dark["text"]


def test_a_screenshot_and_a_print(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(audits.page(audited(), points=POINTS).html())
    for flags in ((), (DARK,)):
        start(tmp_path, *flags, "--window-size=900,1200", f"--screenshot={tmp_path / 'page.png'}", page.as_uri())
        png = (tmp_path / "page.png").read_bytes()
        assert struct.unpack(">II", png[16:24]) == (900, 1200)
        assert len(png) > 40_000, "as good as empty"
    start(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}", page.as_uri())
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_notebook_keeps_its_own_style(tmp_path: Path) -> None:
    around = '<!DOCTYPE html><body><h2 id="outside">mine</h2><table><tr><td>mine</td></tr></table>{}</body>'
    alone = measured(around.format(""), tmp_path, 600)
    found = measured(around.format(audited()._repr_html_()), tmp_path, 600)
    assert found["outside"] == alone["outside"] != ""
    assert "bounded: proved" in found["text"]
    assert found["wide"] <= 600


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """The browser's own serialisation parses to the same text."""
    page = tmp_path / "page.html"
    page.write_text(hostile_pages()["audit"].html())
    dom = start(tmp_path, "--dump-dom", page.as_uri())
    assert html.unescape(str(shown(HOSTILE[0])))[:30] in html.unescape(dom)
    assert "<script" not in dom
