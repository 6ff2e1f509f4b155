"""The certificate: which lumping holds at every value, and which two files it binds.

Plain data with a strict reader and a deterministic writer. The layout is
published in `certificate.schema.json`. Whether a certificate is *true* is for
the checker; this file only decides whether it is *readable*.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NoReturn

from lumpnet.errors import CertificateError, LumpnetError

FORMAT = "lumpnet-certificate"
SCHEMA_VERSION = "1.0"
IDENTITY = "identity"
DROPPED = "dropped"
MAX_BYTES = 1 << 28
MAX_DEPTH = 64
MAX_DIGITS = 20
MAX_COUNT = 1 << 31
MAX_RATIONAL = 2000
_RATIONAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:/[1-9][0-9]*)?\Z", re.ASCII)
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)  # a text that never ends is one token too, not a new start at every quote
_SIDES = ("lower", "upper")
_NESTING = {"[": 1, "{": 1, "]": -1, "}": -1}
_HINT = "write the certificate again with lumpnet reduce"


class UnknownVersion(CertificateError):
    """The certificate follows a schema of another major version: nothing is known about its claim."""


@dataclass(frozen=True)
class Surd:
    """The real number `a + b*sqrt(r)`, with `b` not zero and `r` positive."""

    a: Fraction
    b: Fraction
    r: Fraction


Real = Fraction | Surd
Bounds = tuple[float, ...]
"""One number for every entry of an input, or one per entry, row-major."""


@dataclass(frozen=True)
class Effect:
    """How far the outputs move: at most `alpha + beta |x|` for every input x, or at most `alpha` on a box (lower and upper by input).

    Of an exact lumping: by the rounding of weights, from the exact quotient's; of a bounded one: from the original's, by the moves and by rounding.

    |x| is the largest absolute entry of all inputs of real numbers; over a box `beta` is 0.
    """

    alpha: float
    beta: float = 0.0
    box: Mapping[str, tuple[Bounds, Bounds]] | None = None


@dataclass(frozen=True)
class Move:
    """A row of a parameter becomes `factor` times its row `source` (first rounded to float32), or, without a source, `factor` everywhere."""

    source: int | None
    factor: float


Rows = Mapping[str, Mapping[str, Mapping[int, Move]]]
"""By node, role and row (the parameter's first axis)."""


@dataclass(frozen=True)
class Moves:
    """What a bounded certificate lumps is the original in float64 with these changes.

    The nodes in `taken` (linear layers and convolutions) take their numbers from the reduced network, in the rows and columns of the
    units that are kept; the other columns of these rows become zero. Then the rows move.
    """

    rows: Rows
    taken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lumping:
    """`x_i = scale_i * y_class(i) + offset_i` for the units i of `axis`; class -1 is constant.

    Classes below `columns` are kept (the reduced value has that column), the
    others are ghosts. `scale` and `offset` are sparse: absent means 1 and 0.
    """

    axis: int
    columns: int
    classes: tuple[int, ...]
    representatives: tuple[int, ...]
    scale: Mapping[int, Fraction] = field(default_factory=dict)
    offset: Mapping[int, Real] = field(default_factory=dict)


@dataclass(frozen=True)
class Certificate:
    """What is claimed of the two network files with these SHA-256. A lumping is a `Lumping`, `IDENTITY` or `DROPPED`.

    The verdict `exact` says that the original lumps to the reduced network. `bounded` says so of the original after the moves, in float64, and
    that moves and rounding together are worth at most `effect`.
    """

    original: str
    reduced: str
    lumpings: Mapping[str, Lumping | str]
    rounding: str = "none"
    verdict: str = "exact"
    rules: Mapping[str, int] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    schema_version: str = SCHEMA_VERSION
    effect: Effect | None = None
    moved: Moves | None = None


def dumps(certificate: Certificate) -> bytes:
    """The certificate as JSON; equal certificates give equal bytes. Raises `CertificateError` for a rational too long to be read again."""
    data = {
        "format": FORMAT,
        "schema_version": certificate.schema_version,
        "original": {"sha256": certificate.original},
        "reduced": {"sha256": certificate.reduced},
        "claim": {"verdict": certificate.verdict, "rounding": certificate.rounding} | _effect_json(certificate.effect),
        "lumpings": {name: _lumping_json(lumping) for name, lumping in certificate.lumpings.items()},
        "rules": dict(certificate.rules),
        "annotations": dict(certificate.annotations),
    } | _moved_json(certificate.moved)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _effect_json(effect: Effect | None) -> dict[str, Any]:
    if effect is None:
        return {}
    if effect.box is None:
        return {"effect": {"alpha": effect.alpha, "beta": effect.beta}}
    box = {name: {side: ends[0] if len(ends) == 1 else list(ends) for side, ends in zip(_SIDES, pair, strict=True)} for name, pair in effect.box.items()}
    return {"effect": {"bound": effect.alpha, "box": box}}


def _moved_json(moved: Moves | None) -> dict[str, Any]:
    if moved is None:
        return {}
    rows = {
        node: {role: {str(int(row)): [move.source, float(move.factor)] for row, move in moves.items()} for role, moves in roles.items()}
        for node, roles in moved.rows.items()
    }
    return {"moved": {"rows": rows, "taken": list(moved.taken)}}


def _lumping_json(lumping: Lumping | str) -> Any:
    if isinstance(lumping, str):
        return lumping
    return {
        "axis": lumping.axis,
        "columns": lumping.columns,
        "class": [int(c) for c in lumping.classes],
        "representative": [int(r) for r in lumping.representatives],
        "scale": {str(int(unit)): _rational_text(value) for unit, value in lumping.scale.items()},
        "offset": {str(int(unit)): _real_json(value) for unit, value in lumping.offset.items()},
    }


def _real_json(value: Real) -> str | list[str]:
    return [_rational_text(part) for part in (value.a, value.b, value.r)] if isinstance(value, Surd) else _rational_text(value)


def _rational_text(value: Fraction) -> str:
    if (value.numerator.bit_length() + value.denominator.bit_length()) * 0.302 > MAX_RATIONAL - 8:
        raise CertificateError("a scale or offset", f"a rational of more than {MAX_RATIONAL} characters", "shorter numbers", "keep this unit apart")
    return str(value)


def strict_json(data: bytes, where: str, error: type[LumpnetError], limit: int = MAX_BYTES) -> Any:
    """JSON without its traps: bounded size, depth and integers; no duplicate key, NaN, infinity or lone surrogate. Raises `error`."""

    def refuse(found: str, expected: str) -> NoReturn:
        raise error(where, found, expected, "write the file again with lumpnet")

    def integer(text: str) -> int:
        return int(text) if len(text) <= MAX_DIGITS else refuse(f"an integer of {len(text)} characters", f"at most {MAX_DIGITS}")

    def real(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(f"the number {text[:40]}", "a finite number")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            seen: set[str] = set()
            twice = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
            refuse(f"the key {twice[:80]!r} stands twice in one object", "distinct keys")
        return out

    if len(data) > limit:
        refuse(f"{len(data)} bytes of JSON", f"at most {limit}")
    try:
        text = data.decode("utf-8")
        depth = 0
        for token in _STRUCTURE.finditer(text) if text.count("[") + text.count("{") > MAX_DEPTH else ():
            depth += _NESTING.get(token.group(), 0)
            if depth > MAX_DEPTH:
                refuse(f"JSON nested deeper than {MAX_DEPTH}", "flat data")
        out = json.loads(
            text, object_pairs_hook=unique, parse_int=integer, parse_float=real, parse_constant=lambda name: refuse(f"the constant {name}", "a finite number")
        )
        if "\\u" in text:
            json.dumps(out, ensure_ascii=False).encode("utf-8")
        return out
    except UnicodeError as problem:
        raise error(
            where,
            f"not UTF-8 text ({problem.reason if hasattr(problem, 'reason') else problem})",
            "JSON in UTF-8",
            "pass the certificate or network file that lumpnet wrote",
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise error(where, f"not JSON ({problem})", "one JSON object", "write the file again with lumpnet") from problem


def loads(data: bytes) -> Certificate:
    """Read a certificate. Raises `CertificateError`, or its subclass `UnknownVersion`; nothing else."""
    root = strict_json(data, "certificate", CertificateError)
    if not isinstance(root, dict) or root.get("format") != FORMAT:
        _refuse("certificate", "no lumpnet certificate", f'an object with "format": "{FORMAT}"')
    version = root.get("schema_version")
    if not isinstance(version, str) or re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version, re.ASCII) is None:
        _refuse("schema_version", _show(version), '"MAJOR.MINOR"')
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise UnknownVersion("schema_version", f"schema {version}", f"schema {SCHEMA_VERSION}", "a checker of that version")
    _keys("certificate", root, ("format", "schema_version", "original", "reduced", "claim", "lumpings", "rules", "annotations"), ("moved",))
    claim = _keys("claim", root["claim"], ("verdict", "rounding"), ("effect",))
    if claim["verdict"] not in ("exact", "bounded"):
        _refuse("claim.verdict", _show(claim["verdict"]), '"exact" or "bounded"')
    if claim["rounding"] not in ("none", "nearest"):
        _refuse("claim.rounding", _show(claim["rounding"]), '"none" or "nearest"')
    bounded = claim["verdict"] == "bounded"
    if bounded != ("moved" in root):
        _refuse("moved", "moves of an exact lumping" if "moved" in root else "no moves of a bounded lumping", "moves beside a bounded lumping, and there only")
    if bounded and "effect" not in claim:
        _refuse("claim.effect", "none", "the effect of a bounded lumping")
    if not bounded and "effect" in claim and claim["rounding"] != "nearest":
        _refuse("claim.effect", "the effect of a rounding that is not claimed", '"rounding": "nearest" beside it')
    return Certificate(
        original=_digest("original", root["original"]),
        reduced=_digest("reduced", root["reduced"]),
        lumpings={name: _lumping(f"lumpings[{name!r}]", entry) for name, entry in _object("lumpings", root["lumpings"]).items()},
        rounding=claim["rounding"],
        verdict=claim["verdict"],
        rules={name: _count(f"rules[{name!r}]", units) for name, units in _object("rules", root["rules"]).items()},
        annotations=_object("annotations", root["annotations"]),
        schema_version=version,
        effect=_effect(claim["effect"]) if "effect" in claim else None,
        moved=_moved(root["moved"]) if bounded else None,
    )


def _refuse(where: str, found: str, expected: str) -> NoReturn:
    raise CertificateError(where, f"found {found}", expected, _HINT)


def _show(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _object(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(where, _show(value), "an object")
    return value


def _keys(where: str, value: object, keys: tuple[str, ...], more: tuple[str, ...] = ()) -> dict[str, Any]:
    out = _object(where, value)
    if not set(keys) <= set(out) <= {*keys, *more}:
        _refuse(where, f"the keys {_show(sorted(out))}", f"exactly {', '.join(keys)}")
    return out


def _effect(value: object) -> Effect:
    where = "claim.effect"
    if "box" not in _object(where, value):
        entry = _keys(where, value, ("alpha", "beta"))
        return Effect(_bound(f"{where}.alpha", entry["alpha"]), _bound(f"{where}.beta", entry["beta"]))
    entry = _keys(where, value, ("box", "bound"))
    box = {name: _interval(f"{where}.box[{_show(name)}]", ends) for name, ends in _object(f"{where}.box", entry["box"]).items()}
    return Effect(_bound(f"{where}.bound", entry["bound"]), 0.0, box)


def _moved(value: object) -> Moves:
    entry = _keys("moved", value, ("rows", "taken"))
    taken = entry["taken"]
    if not isinstance(taken, list) or not all(isinstance(name, str) for name in taken):
        _refuse("moved.taken", _show(taken), "a list of names")
    return Moves({node: _rows(f"moved.rows[{_show(node)}]", roles) for node, roles in _object("moved.rows", entry["rows"]).items()}, tuple(taken))


def _rows(where: str, value: object) -> dict[str, dict[int, Move]]:
    found = {}
    for role, moves in _object(where, value).items():
        at = f"{where}.{_show(role)}"
        found[role] = {_unit(at, row): _move(f"{at}[{row}]", move) for row, move in _object(at, moves).items()}
    return found


def _move(where: str, value: object) -> Move:
    if not isinstance(value, list) or len(value) != 2:
        _refuse(where, _show(value), "[row or null, factor]")
    return Move(None if value[0] is None else _count(where, value[0]), _number(where, value[1]))


def _interval(where: str, value: object) -> tuple[Bounds, Bounds]:
    entry = _keys(where, value, _SIDES)
    low, high = (tuple(_number(f"{where}.{side}", v) for v in (ends if isinstance(ends, list) else [ends])) for side in _SIDES for ends in [entry[side]])
    if not low or not high or (1 not in (len(low), len(high)) and len(low) != len(high)):
        _refuse(where, f"{len(low)} lower and {len(high)} upper bounds", "as many, or one for all")
    if any(low[k % len(low)] > high[k % len(high)] for k in range(max(len(low), len(high)))):
        _refuse(where, "a lower bound above the upper one", "an interval with a point")
    return low, high


def _bound(where: str, value: object) -> float:
    number = _number(where, value)
    return number if number >= 0 else _refuse(where, _show(value), "a number that is not negative")


def _number(where: str, value: object) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    return float(value) if type(value) is int and abs(value) <= 1 << 53 else _refuse(where, _show(value), "a finite number that a double holds")


def _digest(where: str, value: object) -> str:
    digest = _keys(where, value, ("sha256",))["sha256"]
    if not isinstance(digest, str) or re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        _refuse(f"{where}.sha256", _show(digest), "64 lower-case hexadecimal digits")
    return digest


def _count(where: str, value: object, least: int = 0) -> int:
    if type(value) is not int or not least <= value < MAX_COUNT:
        _refuse(where, _show(value), f"an integer from {least} to {MAX_COUNT - 1}")
    return value


def _counts(where: str, value: object, least: int) -> tuple[int, ...]:
    if not isinstance(value, list):
        _refuse(where, _show(value), "a list of integers")
    return tuple(v if type(v) is int and least <= v < MAX_COUNT else _count(f"{where}[{k}]", v, least) for k, v in enumerate(value))


def _lumping(where: str, value: object) -> Lumping | str:
    if isinstance(value, str):
        return value if value in (IDENTITY, DROPPED) else _refuse(where, _show(value), f'"{IDENTITY}", "{DROPPED}" or an object')
    entry = _keys(where, value, ("axis", "columns", "class", "representative", "scale", "offset"))
    return Lumping(
        axis=_count(f"{where}.axis", entry["axis"], 1),
        columns=_count(f"{where}.columns", entry["columns"]),
        classes=_counts(f"{where}.class", entry["class"], -1),
        representatives=_counts(f"{where}.representative", entry["representative"], 0),
        scale={_unit(f"{where}.scale", u): _rational(f"{where}.scale[{u}]", v) for u, v in _object(f"{where}.scale", entry["scale"]).items()},
        offset={_unit(f"{where}.offset", u): _real(f"{where}.offset[{u}]", v) for u, v in _object(f"{where}.offset", entry["offset"]).items()},
    )


def _unit(where: str, key: str) -> int:
    if re.fullmatch(r"0|[1-9][0-9]{0,9}", key, re.ASCII) is None:
        _refuse(where, f"the unit {_show(key)}", "a unit number in plain digits")
    return int(key)


def _rational(where: str, value: object) -> Fraction:
    if not isinstance(value, str) or len(value) > MAX_RATIONAL or _RATIONAL.match(value) is None:
        _refuse(where, _show(value), f'a rational "p" or "p/q" of at most {MAX_RATIONAL} characters')
    number = Fraction(value)
    if str(number) != value:
        _refuse(where, _show(value), f"lowest terms, {_show(str(number))}")
    return number


def _real(where: str, value: object) -> Real:
    if not isinstance(value, list):
        return _rational(where, value)
    if len(value) != 3:
        _refuse(where, _show(value), "[a, b, r], which means a + b*sqrt(r)")
    a, b, r = (_rational(f"{where}[{k}]", v) for k, v in enumerate(value))
    if r <= 0 or b == 0:
        _refuse(where, _show(value), "r > 0 and b not 0")
    return Surd(a, b, r)
