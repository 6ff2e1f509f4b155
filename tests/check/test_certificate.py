"""The certificate's reader is strict, its writer deterministic, and the published schema agrees with both."""

from __future__ import annotations

import json
from fractions import Fraction as F
from importlib.resources import files
from typing import Any

import pytest
from forge import lump
from hypothesis import given
from hypothesis import strategies as st

from lumpnet.certificate import Certificate, Lumping, Surd, UnknownVersion, dumps, loads
from lumpnet.errors import CertificateError

GOOD = Certificate(
    "a" * 64,
    "b" * 64,
    {"x": "identity", "d": "dropped", "h": lump([0, 0, -1], 1, [0], {1: "-2/3"}, {1: 5, 2: Surd(F(1), F(-1, 2), F(2))})},
    rules={"constant": 1},
    annotations={"seconds": 0.5},
)

units = st.integers(0, 3)
rationals = st.fractions(max_denominator=10**9)
lumpings = st.builds(
    Lumping,
    st.integers(1, 4),
    st.integers(0, 4),
    st.lists(st.integers(-1, 5), max_size=5).map(tuple),
    st.lists(st.integers(0, 5), max_size=5).map(tuple),
    st.dictionaries(units, rationals),
    st.dictionaries(units, rationals | st.builds(Surd, rationals, rationals.filter(bool), rationals.filter(lambda q: q > 0))),
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), lumpings | st.sampled_from(["identity", "dropped"])))
def test_what_is_written_is_read_again(entries: dict[str, Any]) -> None:
    certificate = Certificate("0" * 64, "f" * 64, entries, "nearest")
    assert loads(dumps(certificate)) == certificate
    assert dumps(loads(dumps(certificate))) == dumps(certificate)


def test_the_order_of_insertion_does_not_show() -> None:
    turned = Certificate(**{**GOOD.__dict__, "lumpings": dict(reversed(GOOD.lumpings.items()))})
    assert dumps(turned) == dumps(GOOD)


def _with(*path: Any, value: Any) -> bytes:
    data = json.loads(dumps(GOOD))
    spot = data
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = value
    return json.dumps(data).encode()


def _without(*path: Any) -> bytes:
    data = json.loads(dumps(GOOD))
    spot = data
    for key in path[:-1]:
        spot = spot[key]
    del spot[path[-1]]
    return json.dumps(data).encode()


H = ("lumpings", "h")
BAD: dict[str, bytes] = {
    "nothing": b"",
    "a list": b"[]",
    "another format": _with("format", value="x"),
    "no format": _without("format"),
    "a version that is a number": _with("schema_version", value=1.0),
    "a version of three parts": _with("schema_version", value="1.0.0"),
    "a version in other digits": _with("schema_version", value="١.0"),
    "an unknown key": _with("proof", value=1),
    "a missing key": _without("rules"),
    "a digest in capitals": _with("original", "sha256", value="A" * 64),
    "a short digest": _with("reduced", "sha256", value="a" * 63),
    "a digest with a line end": _with("reduced", "sha256", value="a" * 64 + "\n"),
    "another verdict": _with("claim", "verdict", value="bounded"),
    "another rounding": _with("claim", "rounding", value="bounded"),
    "an unknown lumping": _with("lumpings", "x", value="same"),
    "a lumping that is null": _with("lumpings", "x", value=None),
    "the batch axis": _with(*H, "axis", value=0),
    "an axis that is true": _with(*H, "axis", value=True),
    "columns that are a float": _with(*H, "columns", value=1.0),
    "columns below zero": _with(*H, "columns", value=-1),
    "an absurd column count": _with(*H, "columns", value=1 << 62),
    "a class below -1": _with(*H, "class", value=[0, 0, -2]),
    "a class that is true": _with(*H, "class", value=[0, True, -1]),
    "classes in a text": _with(*H, "class", value="000"),
    "a representative below zero": _with(*H, "representative", value=[-1]),
    "an unknown key of a lumping": _with(*H, "note", value=1),
    "a unit with a sign": _with(*H, "scale", value={"+1": "2"}),
    "a unit with a leading zero": _with(*H, "scale", value={"01": "2"}),
    "a unit in other digits": _with(*H, "scale", value={"١": "2"}),
    "a rational that is a number": _with(*H, "scale", value={"1": 2}),
    "a rational out of lowest terms": _with(*H, "scale", value={"1": "2/4"}),
    "a denominator of one": _with(*H, "scale", value={"1": "2/1"}),
    "a denominator of zero": _with(*H, "scale", value={"1": "2/0"}),
    "a negative denominator": _with(*H, "scale", value={"1": "2/-3"}),
    "a leading zero": _with(*H, "scale", value={"1": "02"}),
    "minus zero": _with(*H, "offset", value={"1": "-0"}),
    "a decimal": _with(*H, "scale", value={"1": "0.5"}),
    "an exponent": _with(*H, "scale", value={"1": "1e3"}),
    "an underscore": _with(*H, "scale", value={"1": "1_0"}),
    "white space": _with(*H, "scale", value={"1": " 2"}),
    "a line end": _with(*H, "scale", value={"1": "2\n"}),
    "other digits": _with(*H, "scale", value={"1": "٢"}),
    "a rational without end": _with(*H, "scale", value={"1": "1" * 2001}),
    "a surd as a scale": _with(*H, "scale", value={"1": ["1", "1", "2"]}),
    "a surd of two parts": _with(*H, "offset", value={"2": ["1", "1"]}),
    "a surd without root": _with(*H, "offset", value={"2": ["1", "0", "2"]}),
    "a root of a negative": _with(*H, "offset", value={"2": ["1", "1", "-2"]}),
    "a root of zero": _with(*H, "offset", value={"2": ["1", "1", "0"]}),
    "a rule with a negative count": _with("rules", "constant", value=-1),
    "annotations in a list": _with("annotations", value=[]),
    "NaN": dumps(GOOD).replace(b"0.5", b"NaN"),
    "an infinite number": dumps(GOOD).replace(b"0.5", b"1e400"),
    "an integer without end": dumps(GOOD).replace(b"0.5", b"1" * 10000),
    "a duplicate key": dumps(GOOD).replace(b'"x":', b'"x":"dropped","x":'),
    "two documents": dumps(GOOD) * 2,
    "nesting without end": b'{"annotations":' + b"[" * 10**6,
    "nesting of objects without end": b'{"a":' * 10**5,
    "UTF-16": dumps(GOOD).decode().encode("utf-16"),
    "Latin-1": dumps(GOOD).replace(b'"x"', b'"\xe9"'),
    "a lone surrogate": dumps(GOOD).replace(b'"x"', b'"\\ud800"'),
}


@pytest.mark.parametrize("what", BAD)
def test_an_unreadable_certificate_is_refused(what: str) -> None:
    with pytest.raises(CertificateError) as caught:
        loads(BAD[what])
    assert not isinstance(caught.value, UnknownVersion)
    assert len(str(caught.value)) < 1000


def test_another_major_version_is_its_own_error() -> None:
    with pytest.raises(UnknownVersion):
        loads(_with("schema_version", value="2.0"))
    assert loads(_with("schema_version", value="1.7")).schema_version == "1.7"


def test_a_rational_too_long_to_read_is_not_written() -> None:
    with pytest.raises(CertificateError):
        dumps(Certificate("0" * 64, "0" * 64, {"h": lump([0, 0], 1, [0], {1: F(10) ** 2001})}))


def test_the_published_schema_agrees_with_the_reader() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(files("lumpnet").joinpath("certificate.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(json.loads(dumps(GOOD)))
    for what in ("an unknown key", "a missing key", "another verdict", "an unknown lumping", "the batch axis", "a class below -1", "a decimal", "other digits"):
        assert not validator.is_valid(json.loads(BAD[what])), what


def test_a_text_that_never_ends_is_read_once() -> None:
    """Every quote behind a backslash could begin a text; a megabyte of them must not be searched from each."""
    with pytest.raises(CertificateError):
        loads(b'"' + b'\\"' * (1 << 19))
