"""What a report holds, read without a browser: inert, well-formed, the same bytes, capped, and true to the result."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import lumpnet
from lumpnet.audit.result import Source
from lumpnet.cli.app import app
from lumpnet.figures import above, below, visible
from lumpnet.report import Page, Point, audits, marks, reduction
from lumpnet.report.charts import LEFT, curve, histogram, interval, intervals, way
from lumpnet.report.marks import CONSTANT, KEPT, MERGED, UNREAD, Layer, layers
from lumpnet.report.markup import Markup, name, shown, tag
from lumpnet.report.page import POLICY
from lumpnet.report.pictures import SIDE, picture, pixels, shrunk
from lumpnet.report.style import _DARK, _LIGHT, STYLE
from lumpnet.testing import FAMILIES, planted
from tests.report.cases import DEMO, HOSTILE, POINTS, audited, changed, demo, hostile_pages, images, layered

ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "h1", "h2", "h3", "p", "span", "bdi", "code", "dl", "dt", "dd",
    "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "svg", "rect", "path", "circle", "text",
}  # fmt: skip
ATTRIBUTES = {
    "class", "lang", "charset", "name", "content", "http-equiv", "title", "role", "aria-hidden", "viewbox", "preserveaspectratio", "d", "x", "y", "cx", "cy",
    "r", "width", "height", "fill", "text-anchor",
}  # fmt: skip


class Reader(HTMLParser):
    """Elements, attributes and text, as a browser takes them."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def tree(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def words(markup: str) -> str:
    return " ".join(" ".join(ET.fromstring(f"<a>{markup}</a>").itertext()).split())


@pytest.mark.parametrize("which", ["reduce", "refuted", "audit", "unknown", "sweep"])
def test_a_page_of_hostile_names_is_well_formed_and_inert(which: str) -> None:
    page = hostile_pages()[which].html()
    assert tree(page).tag == "html"
    seen = Reader(page)
    assert seen.elements <= ELEMENTS
    assert {key for key, _ in seen.attributes} <= ATTRIBUTES
    assert page.count(POLICY.replace("'", "&#x27;")) == 1
    assert not re.search(r"url\(|@import|expression", STYLE)
    assert all(c.isprintable() or c == "\n" for c in page)
    assert len(page) < 1_000_000


def test_hostile_names_are_there_to_be_read() -> None:
    told = Reader(hostile_pages()["reduce"].html())
    everything = told.text + "".join(value for key, value in told.attributes if key == "title")
    assert len(HOSTILE) % 2, "so that every name is some linear layer's"
    for hostile in HOSTILE:
        assert visible(hostile[:44]) in everything


def test_text_becomes_markup_at_one_place() -> None:
    for hostile in (*HOSTILE, "\ud800", "\x7f\x85\u2028"):
        for made in (shown(hostile), tag("p", hostile), tag("p", title=hostile), name(hostile), tag("p", "x", [hostile])):
            root = ET.fromstring(f"<a>{made}</a>")
            assert {element.tag for element in root.iter()} <= {"a", "p", "bdi"}
            assert all(c.isprintable() for c in made)
    assert shown("\u202e") == "\\x202e"
    assert tag("p", tag("b", "<"), class_="x") == '<p class="x"><b>&lt;</b></p>'
    assert not isinstance(tag("p") + "<", Markup)


def test_no_other_file_makes_markup() -> None:
    for path in (Path(lumpnet.__file__).parent / "report").glob("*.py"):
        text = path.read_text()
        assert "Markup(" not in text or path.name == "markup.py", path
        assert text.count("verbatim(") <= {"markup.py": 1, "style.py": 1, "page.py": 1}.get(path.name, 0), path


def test_long_names_are_shortened_and_say_so() -> None:
    made = name("a" * 5_000 + "b" * 5_000)
    assert len(made) < 400
    assert "(10,000 characters)" in made
    assert words(made) == f"{'a' * 44} … {'b' * 16}"


def test_equal_results_give_equal_bytes() -> None:
    again = replace(lumpnet.reduce(DEMO, require="exact"), seconds=demo().seconds)
    assert reduction.page(again).html() == reduction.page(demo()).html()
    assert audits.page(audited(), points=POINTS).html() == audits.page(audited(), points=POINTS[::-1]).html()
    assert reduction.page(replace(again, seconds={"lift": 1.0})).html() != reduction.page(demo()).html()


# -- true to the result ------------------------------------------------------------------------


VERDICTS = [
    (lumpnet.Proved("exact", "none"), "✓ exact: proved The reduced network computes the same real function as the original, for every input."),
    (lumpnet.Proved("exact", "nearest"), "✓ exact, rounding nearest: proved The exact quotient"),
    (lumpnet.Proved("exact", "bounded"), "✓ exact, rounding bounded: proved The exact quotient"),
    (lumpnet.Refuted("unit 3 differs"), "✗ refuted The certificate is wrong (certificate): unit 3 differs. This says nothing about the networks."),
    (lumpnet.Unknown("no rule"), "? unknown: nothing is claimed no rule"),
]


@pytest.mark.parametrize(("verdict", "says"), VERDICTS)
def test_the_verdict_of_a_reduction_stands_first_in_words(verdict: lumpnet.Proved, says: str) -> None:
    page = reduction.page(replace(demo(), verdict=verdict))
    assert says in words(page.sections[0])
    proved = isinstance(verdict, lumpnet.Proved)
    assert ("anything about these two networks" in words(page.sections[1])) is not proved
    assert ("proved by" in words(page.sections[1])) is proved


def test_the_verdict_of_an_audit_stands_first_in_words() -> None:
    found = replace(audited(), lower_bound=0.2504, upper_bound=0.7501, verdict="bounded")
    cases = [
        (found, "✓ bounded: proved On the domain, no output differs by more than 0.751."),
        (
            replace(found, verdict="refuted", epsilon=0.1),
            "✗ refuted It is false that they stay within 0.1: at one input of the domain they differ by at least 0.25.",
        ),
        (replace(found, verdict="unknown", reason="time is up"), "? unknown Not decided: time is up."),
        (replace(found, verdict="equivalent", upper_bound=0.0, lower_bound=0.0), "✓ equivalent: proved The two networks compute the same real function."),
    ]
    for audit, says in cases:
        assert says in words(audits.page(audit).sections[0])


def test_what_holds_for_every_input_is_not_tied_to_the_domain() -> None:
    found = replace(audited(), verdict="equivalent", upper_bound=0.0, lower_bound=0.0, witness=None)
    claims = words(audits.page(found).sections[1])
    assert "every input; the domain played no part" in claims
    assert "between 0 and 1" not in claims
    assert "anything outside of the domain" not in claims
    assert "every entry of x (1 x 8 x 8) between 0 and 1" in words(audits.page(audited()).sections[1])


def test_only_examples_of_the_domain_stand_in_the_interval() -> None:
    """The others may well be beyond the certified bound."""
    seen = audited().observed
    assert seen is not None
    none = replace(audited(), observed=replace(seen, within=np.zeros(60, dtype=bool)))
    inside = float(seen.deviations[seen.within].max())
    assert f"largest seen on data in the domain: {inside:.3g}" in words(audits._interval(audited()))
    assert "seen" not in words(audits._interval(none))


def test_an_overflow_is_no_small_difference() -> None:
    apart = demo().executed(lumpnet.Box(0, 1))
    assert "observed " in words(reduction._executed(apart))
    for observed, says in ((float("inf"), "one overflows where the other does not"), (None, "the networks could not be run here")):
        section = reduction._executed(replace(apart, observed=observed))
        assert says in words(section)
        assert "<svg" not in section


def test_an_unknown_upper_end_is_not_drawn_as_one() -> None:
    open_ended = replace(audited(), upper_bound=None, verdict="unknown", reason="no bound")
    page = words("".join(audits.page(open_ended).sections))
    assert "no upper bound" in page
    assert "any upper bound of the difference" in page
    assert "certified" not in words(interval(1.0, None))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_marks_count_what_the_rules_removed(family: str, seed: int) -> None:
    result = lumpnet.reduce(lumpnet.Network(planted(seed, family).graph))
    page = reduction._layer
    found = [page(result, site) for site in reduction.counted(reduction.sites(result.original.graph), result.original.graph.outputs)]
    assert sum(len(layer.marks) for layer in found) == result.original.size.units
    for layer in found:
        rules = result.rules[layer.name]
        count = np.bincount(layer.marks, minlength=6)
        assert count[CONSTANT] == rules.get("constant", 0), layer.name
        assert count[MERGED] == sum(rules.get(rule, 0) for rule in ("equal", "proportional", "affine")), layer.name
        assert count[UNREAD] == rules.get("unobserved", 0) + rules.get("cancelled", 0), layer.name
        assert sum(int(text.count(",")) + 1 for text in layer.merges if " more" not in text) <= count[MERGED]


def test_merges_say_into_which_unit_and_how() -> None:
    result = lumpnet.reduce(lumpnet.Network(layered(1)), require="exact")
    page = reduction.page(result).html()
    assert "into unit 0: unit 1 = 2 times it" in page
    (site,) = reduction.counted(reduction.sites(result.original.graph), result.original.graph.outputs)
    assert reduction._layer(result, site).marks.tolist()[:4] == [KEPT, MERGED, CONSTANT, UNREAD]


def test_the_audit_marks_every_unit_of_the_original() -> None:
    about = audited().about
    assert about is not None
    found = {}
    for site in reduction.counted(reduction.sites(about.networks[0].graph), about.networks[0].graph.outputs):
        found[site.node.name] = audits._matched(about.match[site.node.name], site.units)[0]
    assert sum(map(len, found.values())) == about.networks[0].size.units
    assert sum(int((m == KEPT).sum()) for m in found.values()) == about.networks[1].size.units


def test_a_relation_of_units_in_marks() -> None:
    relation = SimpleNamespace(of=np.array([0, -1, 1, 0, -1]), scale=np.array([1.0, 1, 1, 3, 1]), offset=np.array([0.0, 0, 0, 0, 2]))
    codes, merges = audits._matched(("y", relation), 5)  # type: ignore[arg-type]
    assert codes.tolist() == [KEPT, marks.REMOVED, KEPT, MERGED, CONSTANT]
    assert merges == ("into unit 0: unit 3 = 3 times it",)
    assert audits._matched(None, 2)[0].tolist() == [marks.UNSURE] * 2
    assert audits._matched(("y", None), 2)[0].tolist() == [KEPT] * 2
    assert audits._matched(("y", relation), 4)[0].tolist() == [marks.UNSURE] * 4  # type: ignore[arg-type]


def test_the_largest_difference_and_the_data_are_told() -> None:
    found = audited()
    page = words("".join(audits.page(found).sections))
    assert found.observed is not None
    assert found.observed.deviations.max() == found.observed.largest
    assert found.observed.within.sum() == found.observed.inside < found.observed.examples == 60
    assert f"attained {below(found.lower_bound)}" in page
    assert f"certified {above(found.upper_bound or 0)}" in page
    assert f"{found.observed.inside} examples in the domain" in page
    assert f"{found.observed.flips} of 60 examples change their predicted class" in page
    assert found.observed.flipped
    for flip in found.observed.flipped:
        assert (flip.x == images()[flip.index]).all()
        assert f"example {flip.index}: {flip.classes[0]} becomes {flip.classes[1]}" in page


# -- drawn to scale ----------------------------------------------------------------------------


def edges(svg: str, class_: str) -> list[tuple[float, float]]:
    """x and width of the rectangles of a class."""
    found = ET.fromstring(f"<a>{svg}</a>").iter("rect")
    return [(float(r.get("x", 0)), float(r.get("width", 0))) for r in found if r.get("class") == class_ and float(r.get("height", 0)) > 7]


def test_an_interval_is_to_scale() -> None:
    (begin, wide), *_ = edges(interval(25, 100), "open")
    (_, reached), *_ = edges(interval(25, 100), "reached")
    assert begin - LEFT == pytest.approx(reached, abs=0.02)
    assert reached / (reached + wide) == pytest.approx(0.25, abs=1e-3)


def test_bars_on_the_way_begin_where_the_one_before_ended() -> None:
    drawn = way([("a", 1.0, ""), ("b", 3.0, ""), ("c", None, "")])
    assert edges(drawn, "removed") == [(0, 25), (25, 75), (0, 0), (0, 100)]
    assert "c unknown" in words(drawn)
    assert "unknown" in words(way([("c", None, "")]))


def test_the_way_follows_the_graph_and_unknown_shares_are_said_to_be() -> None:
    found = replace(audited(), residuals=[Source("fc1", None, None), Source("conv1", 2.0, None)])
    text = words(audits._way(found) or "")
    assert text.index("conv1") < text.index("fc1 unknown")
    assert "1 shares are not known" in text


def test_a_histogram_counts_every_example() -> None:
    values, inside = np.array([0.0, 0.1, 0.1, 4.0]), np.array([True, True, False, True])
    drawn = histogram(values, inside, 40.0)
    assert len(edges(drawn, "kept")) == 3 - 1
    assert "3 examples in the domain" in words(drawn)
    assert "1 outside of it" in words(drawn)
    assert "10 times as far" in words(drawn)
    assert "0" in words(histogram(np.zeros(3), np.ones(3, dtype=bool)))


def test_a_curve_has_a_marker_for_every_known_number() -> None:
    drawn = curve([Point(0.5, 10.0, 1.0, 0.1, "half"), Point(1.0, 0.0, 0.0, None, "whole"), Point(0.2, None, 2.0, None, "less")])
    lines = {p.get("class"): p.get("d", "") for p in ET.fromstring(f"<a>{drawn}</a>").iter("path") if "line" in p.get("class", "")}
    assert {k: v.count("L") + 1 for k, v in lines.items()} == {"line kept": 2, "line removed": 3, "line constant": 1}
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", lines["line removed"])]
    assert heights == sorted(heights)
    assert "less 20.0 % unknown 2 unknown" in words(drawn)
    assert "<svg" in curve([Point(1.0, None)])


def test_what_is_a_picture() -> None:
    assert pixels(np.zeros((1, 8, 6))).shape == (8, 6)  # type: ignore[union-attr]
    assert pixels(np.zeros((3, 8, 6))).shape == (8, 6, 3)  # type: ignore[union-attr]
    assert pixels(np.zeros(784)).shape == (28, 28)  # type: ignore[union-attr]
    assert [pixels(np.zeros(s)) for s in [(10,), (4,), (2, 8, 8), (7, 3, 3, 3), ()]] == [None] * 5
    assert shrunk(np.arange(12.0).reshape(4, 3), 2).tolist() == [[2.0, 3.5], [8.0, 9.5]]
    drawn = picture(np.array([[[0.0, 0.0, 1.0, 0.5]] * 4]), 0.0, 1.0)
    assert re.findall(r'd="([^"]*)" fill="([^"]*)"', drawn)[-1] == ("M2 0h1v1h-1zM2 1h1v1h-1zM2 2h1v1h-1zM2 3h1v1h-1z", "#ffffff")
    assert "10 numbers (10): 0, 1, 2" in words(picture(np.arange(10.0), 0, 9))


# -- capped ------------------------------------------------------------------------------------


def test_a_large_report_stays_small_and_says_what_it_left_out(rng: np.random.Generator) -> None:
    many = [Layer("layer " + "x" * 9_000 + str(k), "conv", rng.integers(0, 6, size=100_000 if k < 9 else 256), tuple(["into"] * 500)) for k in range(300)]
    drawn = layers(many)
    assert len(drawn) < 1_500_000
    assert "236 more layers are not drawn" in drawn
    assert "476 more, not listed" in drawn
    assert drawn.count("<li>into</li>") == marks.LAYERS * marks.NAMED
    assert "Each of the 32 columns stands for about 3,125 neighbouring units" in drawn
    image = picture(rng.uniform(size=(3, 224, 224)), 0, 1)
    assert len(image) < 400_000
    assert "224 x 224 pixels, drawn as averages of 4 x 4" in image
    assert shrunk(np.zeros((1000, 3)), SIDE).shape[0] <= SIDE
    assert len(picture(rng.uniform(size=100_001), 0, 1)) < 3_000
    assert "140 more operators" in way([(f"o{k}", 1.0, "") for k in range(200)])
    assert "36 more points" in curve([Point(k / 100, 1.0) for k in range(100)])


def test_shapes_say_what_colours_say() -> None:
    assert len(set(marks.SHAPES)) == len(set(marks.SAYS)) == len(set(marks.NAMES)) == 6
    drawn = layers([Layer("one", "linear", np.arange(6))])
    assert [f".lumpnet .{each}{{" in STYLE for each in marks.NAMES] == [True] * 6
    assert all(says in words(drawn) for says in marks.SAYS)


@pytest.mark.parametrize("palette", [_LIGHT, _DARK], ids=["light", "dark"])
def test_contrast(palette: str) -> None:
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for marks."""
    colours = dict(re.findall(r"--(\w+):#(\w+)", palette))

    def light(colour: str) -> float:
        colour = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
        parts = [int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05

    def contrast(one: str, two: str) -> float:
        a, b = sorted((light(colours[one]), light(colours[two])))
        return b / a

    for text in ("ink", "muted", "accent"):
        assert contrast(text, "paper") >= 4.5, text
    for badge in ("holds", "refuted", "unknown"):
        assert contrast(badge, "on") >= 4.5, badge
    for mark in marks.NAMES:
        assert contrast(mark, "paper") >= 3, mark


# -- where it is written -----------------------------------------------------------------------


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*map(str, args)])
    return done.exit_code, done.stdout, done.stderr


def test_reduce_writes_a_report_without_paths_of_the_machine(tmp_path: Path) -> None:
    network, report = tmp_path / "net.safetensors", tmp_path / "r.html"
    lumpnet.Network(layered(2)).save(network)
    np.save(tmp_path / "centre.npy", np.zeros(16, dtype=np.float32))
    domain = f"ball:{tmp_path / 'centre.npy'}:0.5"
    code, out, err = call("reduce", network, "-o", tmp_path / "small.safetensors", "--domain", domain, "--report", report)
    assert (code, err) == (0, "")
    assert f"report: {report}" in out.replace("\n", "")
    page = report.read_text()
    assert str(tmp_path) not in page
    assert tmp_path.name not in page
    assert {"net.safetensors", "small.safetensors", "small.safetensors.cert.json", "ball:centre.npy:0.5"} <= set(re.findall(r"[\w.:]+", words(tree_body(page))))
    assert lumpnet.Network.load(network).sha256 in page
    assert "As executed" in page
    assert lumpnet.__version__ in page


def tree_body(page: str) -> str:
    return page[page.index("<main>") : page.index("</main>") + 7]


def test_audit_writes_a_report_whatever_the_verdict(tmp_path: Path) -> None:
    graph = layered(2)
    one, two, data = tmp_path / "one.safetensors", tmp_path / "two.safetensors", tmp_path / "x.npy"
    lumpnet.Network(graph).save(one)
    lumpnet.Network(changed(graph, 4.0)).save(two)
    np.save(data, np.zeros((5, 16), dtype=np.float32))
    for epsilon, verdict, exit_code in (("1e9", "bounded", 0), ("0.001", "refuted", 1)):
        code, out, _ = call(
            "audit", one, two, "--domain", "-1:1", "--epsilon", epsilon, "--data", data, "--report", tmp_path / "a.html", "--json", "--timeout", 2
        )
        assert (code, json.loads(out)["verdict"]) == (exit_code, verdict)
        page = (tmp_path / "a.html").read_text()
        assert verdict in words(tree_body(page))[:100]
        assert str(tmp_path) not in page
        assert "data x.npy" in page


@pytest.mark.parametrize(("report", "says"), [("r.txt", "its name ends in .html"), ("no/r.html", "an existing folder"), ("two.html", "overwrite another file")])
def test_a_report_is_refused_where_it_would_harm(tmp_path: Path, report: str, says: str) -> None:
    lumpnet.Network(layered(1)).save(tmp_path / "one.safetensors")
    (tmp_path / "two.html").write_bytes((tmp_path / "one.safetensors").read_bytes())
    (tmp_path / "two.safetensors").symlink_to(tmp_path / "two.html")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = call("audit", tmp_path / "one.safetensors", tmp_path / "two.safetensors", "--domain", "0:1", "--report", tmp_path / report)
    assert code == 2
    assert says in err
    code, _, err = call("reduce", tmp_path / "two.safetensors", "-o", tmp_path / "small.safetensors", "--report", tmp_path / report)
    assert code == 2
    assert says in err
    assert sorted(tmp_path.rglob("*")) == before


def test_results_show_themselves_in_notebooks() -> None:
    for result in (demo(), audited(), replace(audited(), about=None)):
        fragment = result._repr_html_()
        root = ET.fromstring(fragment)
        assert root.tag == "div"
        assert not {"html", "head", "body", "meta", "title"} & {e.tag for e in root.iter()} - {"title"}
    for rule in re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*", "", STYLE)):
        assert all(".lumpnet" in selector for selector in rule.split(",") if selector.strip()), rule


def test_a_page_is_plain_data() -> None:
    page = Page("<t>", (tag("p", "x"),))
    assert page.html().count("&lt;t&gt;") == 1
    assert page.fragment().count("<p>x</p>") == 1


def test_bars_side_by_side_begin_where_an_input_is_and_end_where_nothing_is_open() -> None:
    drawn = intervals([("a", 0.1, 10.0, 1.0), ("b", 1.0, None, None), ("x" * 40, 0.0, 0.0, None)])
    root = ET.fromstring(f"<a>{drawn}</a>")
    bars = [e for e in root.iter("rect") if e.get("height") == "10"]
    ends = [(float(e.get("x", 0)), float(e.get("x", 0)) + float(e.get("width", 0)), e.get("class")) for e in bars]
    left, right = 130.0, 380.0
    assert ends == [(left, right, "open"), (left + 125, right, "unsure"), (left, left + 1, "open")]
    (dot,) = (e for e in root.iter("circle") if e.get("r") == "4")
    assert float(dot.get("cx", 0)) == left + 125
    assert f"{'x' * 17}…" in words(drawn)
    assert "no upper bound" in words(drawn)
    assert "no upper bound" not in words(intervals([("a", 0.1, 1.0, None)]))
    assert "0" in words(intervals([("a", 0.0, 0.0, None)]))
