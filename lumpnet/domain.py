"""The inputs that a question is about: a closed box over every input of a network, and its texts and files.

A box written in decimals is the smallest box of floats around it: every bound
is read as an exact rational and rounded outward, first to float64 and then to
the input's own dtype. Whatever is claimed over the rounded box holds over the box meant.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from lumpnet.certificate import strict_json
from lumpnet.check.files import read_bytes
from lumpnet.errors import DomainError
from lumpnet.ir import FLOATS, Value

Array = np.ndarray[Any, Any]
MAX_FILE = 1 << 28
MAX_NUMBER = 400
"""Characters and decimal exponent of a number in a text: no float needs more, and longer ones cost memory."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,9}))?")
_SIDE = {"lower": -math.inf, "upper": math.inf}


@dataclass(frozen=True, eq=False)
class Box:
    """`lower <= x <= upper` for one network input without its batch axis: numbers for every entry, or arrays.

    Kept as float64; `on` rounds outward to an input's dtype. Raises
    `DomainError` for NaN, infinity, and a box without a point.
    """

    lower: Array
    upper: Array

    def __init__(self, lower: Any, upper: Any, where: str = "box"):
        low, high = (_outward(bound, side, where) for bound, side in ((lower, "lower"), (upper, "upper")))
        try:
            low, high = np.broadcast_arrays(low, high)
        except ValueError:
            _refuse(where, f"lower of shape {low.shape}, upper of shape {high.shape}", "equal shapes, or one number for all")
        if (low > high).any():
            at = int(np.flatnonzero((low > high).reshape(-1))[0])
            found = f"lower {float(low.reshape(-1)[at])!r} above upper {float(high.reshape(-1)[at])!r} at entry {at}"
            _refuse(where, found, "lower <= upper everywhere", "exchange the two bounds")
        object.__setattr__(self, "lower", low)
        object.__setattr__(self, "upper", high)

    def on(self, value: Value) -> tuple[Array, Array]:
        """lower and upper of the input's shape without batch and of its dtype, rounded outward."""
        where, shape = f"domain of input {value.name!r}", tuple(int(d or 0) for d in value.shape[1:])
        if value.dtype not in FLOATS:
            _refuse(where, f"the input holds {value.dtype}", "an input of real numbers", "leave the domain out: boxes are for real numbers")
        low, high = _fitted(self.lower, shape, where), _fitted(self.upper, shape, where)
        return _cast(low, value.dtype, "lower", where), _cast(high, value.dtype, "upper", where)


Domain = Box | Mapping[str, Box]
"""One box for every input, or one by input name."""


def boxes(domain: Domain, inputs: Sequence[Value]) -> dict[str, tuple[Array, Array]]:
    """lower and upper of every input, as `Box.on`. Raises `DomainError` where names or shapes do not fit."""
    if isinstance(domain, Box):
        return {value.name: domain.on(value) for value in inputs}
    names = [value.name for value in inputs]
    if set(domain) != set(names):
        _refuse("domain", f"boxes for {', '.join(map(repr, sorted(domain)))}", f"one for each of {', '.join(map(repr, names))}")
    return {value.name: domain[value.name].on(value) for value in inputs}


def read_domain(text: str) -> Domain:
    """`LO:HI`, `FILE.json`, `FILE.vnnlib` or `ball:CENTER.npy:RADIUS[:LO:HI]` (maximum norm). Raises `DomainError`."""
    if text.startswith("ball:"):
        return _ball(text)
    suffix = Path(text).suffix.lower()
    if suffix in _FILES:
        return _FILES[suffix](text)
    parts = text.split(":")
    if len(parts) != 2:
        _refuse(f"domain {text[:80]!r}", "this is no domain", "LO:HI, FILE.json, FILE.vnnlib or ball:CENTER.npy:RADIUS[:LO:HI]", "--domain 0:1")
    low, high = (decimal(part, f"domain {text[:80]!r}") for part in parts)
    return Box(low, high, f"domain {text[:80]!r}")


def decimal(text: str, where: str) -> Fraction:
    """A decimal number, exactly. Raises `DomainError` for anything else, and for numbers that no float needs."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        _refuse(where, f"{text[:40]!r} is no number", "a finite decimal number")
    if len(text) > MAX_NUMBER or abs(int(match[2] or 0)) > MAX_NUMBER:
        _refuse(where, f"the number {text[:40]}", f"at most {MAX_NUMBER} characters, and exponents up to {MAX_NUMBER}")
    return Fraction(text.strip())


def _refuse(where: str, found: str, expected: str = "", hint: str = "") -> NoReturn:
    raise DomainError(where, found, expected, hint)


# -- outward rounding ---------------------------------------------------------------------


def _outward(bound: Any, side: str, where: str) -> Array:
    """Numbers, exact or float, as float64, none of them inside of where it was."""
    given = np.asarray(bound.detach().cpu() if hasattr(bound, "detach") else bound)
    if given.dtype == object:
        try:
            exact = [Fraction(q) for q in given.reshape(-1)]
        except (TypeError, ValueError, OverflowError):
            _refuse(where, f"{side} bounds that are no finite numbers", "finite numbers")
        rounded = [_directed(q, side, where) for q in exact]
        return np.array(rounded, dtype=np.float64).reshape(given.shape)
    if given.dtype.kind not in "fiub":
        _refuse(where, f"{side} bounds of type {given.dtype}", "real numbers")
    if given.dtype.kind in "iu":
        return _outward(given.astype(object), side, where)
    if not np.isfinite(given).all():
        _refuse(where, f"NaN or infinity among the {side} bounds", "finite numbers", "a box that has ends")
    return np.array(given, dtype=np.float64)


def _directed(q: Fraction, side: str, where: str) -> float:
    try:
        nearest = float(q)
    except OverflowError:
        _refuse(where, f"a bound ({side}) beyond all floats", "finite numbers")
    inside = Fraction(nearest) > q if side == "lower" else Fraction(nearest) < q
    return float(np.nextafter(nearest, _SIDE[side])) if inside else nearest


def _cast(bound: Array, dtype: str, side: str, where: str) -> Array:
    with np.errstate(over="ignore"):
        nearest = bound.astype(dtype)
    inside = nearest > bound if side == "lower" else nearest < bound
    out: Array = np.where(inside, np.nextafter(nearest, np.array(_SIDE[side], dtype)), nearest)
    if not np.isfinite(out).all():
        _refuse(where, f"a bound ({side}) beyond {dtype}", f"numbers that {dtype} holds")
    return out


def _fitted(bound: Array, shape: tuple[int, ...], where: str) -> Array:
    """A number for every entry; an array as it is, flat, or with a leading axis of 1."""
    if bound.ndim == 0:
        return np.broadcast_to(bound, shape)
    if bound.shape in (shape, (1, *shape), (math.prod(shape),)):
        return bound.reshape(shape)
    _refuse(where, f"bounds of shape {bound.shape}", f"shape {shape}, or {math.prod(shape)} entries in a row", "one entry for each number of the input")


# -- files --------------------------------------------------------------------------------


def _json(path: str) -> Domain:
    """`{"lower": ..., "upper": ...}` with numbers or nested lists, or such an object by input name; other keys beside lower are annotations."""
    data = read_bytes(path, MAX_FILE, DomainError)
    strict_json(data, path, DomainError, MAX_FILE)
    whole = json.loads(data, parse_float=lambda text: decimal(text, path), parse_int=lambda text: decimal(text, path))
    if not isinstance(whole, dict) or not whole:
        _refuse(path, "no object", "an object with lower and upper, or with one such object for each input")
    if {"lower", "upper"} & set(whole):
        return _json_box(whole, path)
    return {name: _json_box(box, f"{path}: input {name[:80]!r}") for name, box in whole.items()}


def _json_box(box: Any, where: str) -> Box:
    if not isinstance(box, dict) or not {"lower", "upper"} <= set(box):
        _refuse(where, "lower or upper is missing", 'an object like {"lower": [0, 0], "upper": [1, 1]}')
    low, high = (_nested(box[side], f"{where}: {side}") for side in ("lower", "upper"))
    return Box(low, high, where)


def _nested(data: Any, where: str) -> Array:
    """Lists of equal length around numbers, as an array of rationals."""
    try:
        out = np.array(data, dtype=object)
    except ValueError:
        _refuse(where, "lists nested too deeply, or of unequal depths", "numbers in lists of equal lengths")
    if not all(isinstance(q, Fraction) for q in out.reshape(-1)):
        _refuse(where, "lists of unequal lengths, or something that is no number", "numbers in lists of equal lengths")
    return out


def _ball(text: str) -> Box:
    """`ball:CENTER.npy:RADIUS[:LO:HI]`: all points at most RADIUS from the centre in every entry, clipped to LO and HI."""
    path, found, rest = text.removeprefix("ball:").rpartition(".npy:")
    numbers = rest.split(":")
    if not found or len(numbers) not in (1, 3):
        _refuse(f"domain {text[:80]!r}", "this is no ball", "ball:CENTER.npy:RADIUS or ball:CENTER.npy:RADIUS:LO:HI", "--domain ball:image.npy:0.01:0:1")
    radius, *clip = (decimal(number, f"domain {text[:80]!r}") for number in numbers)
    centre = read_array(f"{path}.npy")
    exact = np.empty(centre.size, dtype=object)
    exact[:] = [Fraction(float(c)) for c in centre.reshape(-1)]
    low, high = exact - radius, exact + radius
    if clip:
        low, high = _each(max, low, clip[0]), _each(min, high, clip[1])
    return Box(low.reshape(centre.shape), high.reshape(centre.shape), f"domain {text[:80]!r}")


def _each(choose: Callable[..., Fraction], bounds: Array, limit: Fraction) -> Array:
    out = np.empty_like(bounds)
    out[:] = [choose(q, limit) for q in bounds]
    return out


def read_array(path: str) -> Array:
    """A .npy file of finite real numbers, whose header tells no other size than the file has; nothing in it is executed."""
    data = read_bytes(path, MAX_FILE, DomainError)
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if dtype.hasobject or dtype.kind not in "fiu" or file.tell() + math.prod(shape) * dtype.itemsize != len(data):
                raise ValueError(f"{dtype} of shape {shape} in {len(data)} bytes")
        array: Array = np.load(path, allow_pickle=False)
    except Exception as problem:  # numpy evaluates the header as a literal, which can fail in many ways
        raise DomainError(
            path, f"not an array of numbers ({' '.join(str(problem).split())[:100]})", "a .npy file of real numbers", "numpy.save(path, centre)"
        ) from problem
    if not np.isfinite(array).all():
        _refuse(path, "NaN or infinity", "finite numbers")
    return array


# -- VNN-LIB ------------------------------------------------------------------------------

_TOKEN = re.compile(r"[()]|[^\s();]+|;[^\n]*")
_INPUT, _OUTPUT = re.compile(r"X_(\d{1,8})"), re.compile(r"Y_\d+")
_DEPTH = 50
Hull = dict[int, tuple[Fraction | None, Fraction | None]]
"""Bounds by number of the input entry; None where there is none. Missing: no bound. No hull at all (None): no point."""


def _vnnlib(path: str) -> Box:
    """The smallest box around the inputs that a VNN-LIB precondition allows: bounds of single inputs, under `and` and `or`.

    Bounds of outputs only, and of outputs beside inputs, say nothing of the box and leave it as wide as it is.
    """
    try:
        text = read_bytes(path, MAX_FILE, DomainError).decode("ascii")
    except UnicodeDecodeError as problem:
        raise DomainError(path, "not ASCII text", "a VNN-LIB file") from problem
    declared = 0
    hull: Hull = {}
    for command in _expressions(text, path):
        match command:
            case ["declare-const", str(name), "Real"]:
                declared += bool(_INPUT.fullmatch(name))
            case ["assert", formula]:
                narrowed = _meet(hull, _hull(formula, path))
                if narrowed is None:
                    _refuse(path, "no input meets the precondition", "a box with a point")
                hull = narrowed
            case _:
                _unread(path, command)
    if not declared:
        _refuse(path, "it declares no input X_0", "a VNN-LIB file")
    bounds = [hull.get(i, (None, None)) for i in range(declared)]
    for side, column in (("lower", 0), ("upper", 1)):
        missing = [i for i, bound in enumerate(bounds) if bound[column] is None]
        if missing or set(hull) - set(range(declared)):
            _refuse(path, f"X_{missing[0] if missing else max(hull)} has no {side} bound, or is not declared", "a bound on both sides of each declared input")
    low, high = (np.array([b[k] for b in bounds], dtype=object) for k in (0, 1))
    return Box(low, high, path)


def _expressions(text: str, path: str) -> Iterator[Any]:
    """The commands, as nested lists of words."""
    stack: list[list[Any]] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token.startswith(";"):
            continue
        if token == "(":
            stack.append([])
            if len(stack) > _DEPTH:
                _refuse(path, f"brackets nested deeper than {_DEPTH}", "a VNN-LIB file")
        elif not stack:
            _refuse(path, f"{token[:40]!r} outside of brackets", "commands in brackets")
        elif token == ")":
            done = stack.pop()
            if stack:
                stack[-1].append(done)
            else:
                yield done
        else:
            stack[-1].append(token)
    if stack:
        _refuse(path, "a bracket is never closed", "a whole file")


def _hull(formula: Any, path: str) -> Hull | None:
    match formula:
        case ["and", *parts]:
            hull: Hull | None = {}
            for part in parts:
                hull = _meet(hull, _hull(part, path))
            return hull
        case ["or", *parts]:
            return _join([found for part in parts if (found := _hull(part, path)) is not None])
        case ["<=" | ">=" as relation, left, right]:
            return _bound(relation, left, right, path, formula)
        case _:
            _unread(path, formula)


def _bound(relation: str, left: Any, right: Any, path: str, formula: Any) -> Hull:
    """`X_i <= number` and its three siblings; what compares outputs is no bound of inputs."""
    if any(isinstance(side, str) and _OUTPUT.fullmatch(side) for side in (left, right)):
        if all(isinstance(side, str) and not _INPUT.fullmatch(side) for side in (left, right)):
            return {}
        _unread(path, formula)
    if isinstance(right, str) and _INPUT.fullmatch(right):
        left, right, relation = right, left, {"<=": ">=", ">=": "<="}[relation]
    match = _INPUT.fullmatch(left) if isinstance(left, str) else None
    if match is None:
        _unread(path, formula)
    number = _number(right, path, formula)
    return {int(match[1]): (None, number) if relation == "<=" else (number, None)}


def _number(text: Any, path: str, formula: Any) -> Fraction:
    match text:
        case str() if _NUMBER.fullmatch(text):
            return decimal(text, path)
        case ["-", str(inner)] if _NUMBER.fullmatch(inner):
            return -decimal(inner, path)
        case _:
            _unread(path, formula)


def _meet(one: Hull | None, two: Hull | None) -> Hull | None:
    """The intersection; None where it has no point."""
    if one is None or two is None:
        return None
    for i, (low, high) in two.items():
        a, b = one.get(i, (None, None))
        low = a if low is None else low if a is None else max(a, low)
        high = b if high is None else high if b is None else min(b, high)
        if low is not None and high is not None and low > high:
            return None
        one[i] = low, high
    return one


def _join(hulls: list[Hull]) -> Hull | None:
    """The smallest box around all of them: an entry without a bound in one has none."""
    if not hulls:
        return None
    out: Hull = {}
    for i in set.intersection(*(set(h) for h in hulls)):
        lows, highs = zip(*(h[i] for h in hulls), strict=True)
        out[i] = (None if None in lows else min(lows), None if None in highs else max(highs))
    return out


def _unread(path: str, what: Any) -> NoReturn:
    told = json.dumps(what).replace('"', "").replace(",", "").replace("[", "(").replace("]", ")")
    _refuse(path, f"{told[:100]} is not read", "declarations, and bounds of single inputs under and / or", "write the precondition as bounds of each X_i")


_FILES = {".json": _json, ".vnnlib": _vnnlib}
