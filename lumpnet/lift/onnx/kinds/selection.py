"""Operators that take entries out, repeat them, or put constants around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.kinds.shaping import AWAY, HINT, STAY, reshaped
from lumpnet.lift.onnx.operands import Answer, Batch, Const, Operand, Size, Val
from lumpnet.lift.onnx.registry import converts

FAR = 1 << 30
MOST = 1 << 22
MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def selected(call: Call, x: Val, picks: Sequence[tuple[int, list[int]]], part: str = "", out: int = 0) -> Operand:
    """The entries `index` along each axis, one node an axis; x itself where all are taken in order."""
    wanted = [(axis, index) for axis, index in picks if len(index) != x.sizes[axis - 1] or index != list(range(len(index)))]
    y = x
    for k, (axis, index) in enumerate(wanted):
        if not index:
            call.refuse("it selects nothing", "at least one entry", "check the model")
        last = k == len(wanted) - 1
        y = call.emit("index_select", [y], {"axis": axis, "index": index}, part=part if last else f"axis{axis}", out=out)
    return y if wanted or part else call.passed(y, out)


@converts("Slice")
def slice_(call: Call) -> Answer:
    x = call.val(0)
    starts, ends = call.sizes("starts", 1), call.sizes("ends", 2)
    axes, steps = call.ints("axes", 3), call.ints("steps", 4)
    if starts is None or ends is None or len(starts) != len(ends):
        raise NoRule
    axes = [call.axis(a, x.rank) for a in (axes if axes is not None else range(min(len(starts), x.axes)))]
    steps = steps if steps is not None else [1] * len(starts)
    if len(axes) != len(starts) or len(steps) != len(starts) or len(set(axes)) != len(axes) or 0 in steps or len(axes) > x.rank:
        call.refuse(f"starts, ends, axes and steps {starts}, {ends}, {axes}, {steps}"[:200], "one of each for distinct axes", "check the model")
    picks: list[tuple[int, list[int]]] = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis == 0:
            _whole_batch(call, start, end, step)
        elif isinstance(start, Batch) or isinstance(end, Batch):
            raise NoRule
        else:
            picks.append((axis, _listed(call, range(*slice(start, end, step).indices(x.sizes[axis - 1])))))
    return selected(call, x, picks)


def _listed(call: Call, index: range) -> list[int]:
    if len(index) > MOST:
        call.refuse(f"it selects {len(index)} entries of one axis", f"at most {MOST}", "export with smaller axes")
    return list(index)


def _whole_batch(call: Call, start: Size, end: Size, step: int) -> None:
    ends = end == Batch() or (isinstance(end, int) and (end >= FAR or (call.lifting.one and end >= 1)))
    if start != 0 or step != 1 or not ends:
        call.refuse("it cuts the batch", "slices of axes behind the batch", HINT)


@converts("Split")
def split(call: Call) -> Answer:
    x, count = call.val(0), len(call.proto.output)
    axis, given = call.axis(call.attrs["axis"], x.rank), call.ints("split", 1)
    if axis == 0:
        call.refuse("it splits the batch", "axes behind the batch", HINT)
    n = x.sizes[axis - 1]
    if given is None:
        if call.get("num_outputs", count) != count or (n % count and "num_outputs" not in call.attrs):
            call.refuse(f"{n} entries in {count} parts", "parts of equal size, or their sizes", "check the model")
        each = -(-n // count)
        given = [each] * (count - 1) + [n - each * (count - 1)]
    if sum(given) != n or min(given) < 1 or len(given) != count:
        call.refuse(f"{n} entries in the parts {given}", f"{count} positive sizes that add up", "check the model")
    ends = [sum(given[: k + 1]) for k in range(count)]
    parts = list(zip(given, ends, strict=True))
    return [selected(call, x, [(axis, list(range(e - g, e)))], out=k) if call.used(k) else None for k, (g, e) in enumerate(parts)]


@converts("Gather")
def gather(call: Call) -> Answer:
    """With constant indices a selection; with a constant table an embedding."""
    x, index = call.inputs
    if isinstance(x, Const) and isinstance(index, Val):
        if x.array.ndim != 2 or call.axis(call.attrs["axis"], 2) != 0 or not x.floating:
            raise NoRule
        return call.emit("embedding", [index], weight=x)
    value = call.val(0)
    axis = call.axis(call.attrs["axis"], value.rank)
    if not isinstance(index, Const) or index.array.dtype.kind not in "iu":
        raise NoRule
    if axis == 0 and call.lifting.one and not value.at:
        call.strip()
        value, axis = call.val(0), 1
    if axis == 0:
        call.refuse(f"{AWAY}: it selects examples", STAY, HINT)
    n, picks = value.sizes[axis - 1], [int(v) for v in index.array.reshape(-1).tolist()]
    if not picks or any(not -n <= v < n for v in picks):
        call.refuse(f"the indices {picks[:8]} of {n} entries", "indices inside the axis", "check the model")
    sizes = [*value.sizes[: axis - 1], *index.array.shape, *value.sizes[axis:]]
    one = index.array.ndim == 1
    y = selected(call, value, [(axis, [v % n for v in picks])], part="" if one else "selected")
    if one and isinstance(y, Val):
        return replace(y, at=value.at)
    if not isinstance(y, Val) or (value.at and index.array.ndim):
        raise NoRule
    y = reshaped(call, y, sizes)
    return replace(y, at=value.at - (0 < axis <= value.at)) if isinstance(y, Val) else None


@converts("Expand")
def expand(call: Call) -> Answer:
    x, target = call.val(0), call.sizes("shape", 1)
    if target is None or len(target) > x.rank or (len(target) == x.rank and target[0] not in (1, Batch())):
        raise NoRule
    wanted = [1] * (x.rank - len(target)) + list(target)
    picks = []
    for axis, (n, m) in enumerate(zip(x.sizes, wanted[1:], strict=True), 1):
        if not isinstance(m, int) or (m not in (1, n) and n != 1) or m > MOST:
            raise NoRule
        picks.append((axis, [0] * m if n == 1 else list(range(n))))
    return selected(call, x, picks)


@converts("Tile")
def tile(call: Call) -> Answer:
    x, repeats = call.val(0), call.ints("repeats", 1)
    if repeats is None or len(repeats) != x.rank or repeats[0] != 1 or min(repeats) < 1:
        raise NoRule
    if max((n * m for n, m in zip(x.sizes, repeats[1:], strict=True)), default=1) > MOST:
        raise NoRule
    return selected(call, x, [(axis, list(range(n)) * m) for axis, (n, m) in enumerate(zip(x.sizes, repeats[1:], strict=True), 1)])


@converts("Pad")
def pad(call: Call) -> Answer:
    """Negative amounts cut."""
    x, pads = call.val(0), call.ints("pads", 1)
    mode, axes = MODES.get(call.attrs["mode"]), call.ints("axes", 3)
    value = float(call.attrs["value"]) if "value" in call.attrs else call.scalar(2)
    axes = [call.axis(a, x.rank) for a in axes] if axes is not None else list(range(x.rank))
    if pads is None or mode is None or len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise NoRule
    amounts = {a: [b, e] for a, b, e in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True)}
    if any(amounts.get(0, [0, 0])) or max(map(abs, pads), default=0) > FAR:
        call.refuse(f"it pads the batch or by more than {FAR}: {pads}", "padding of axes behind the batch", HINT)
    if mode != "constant" and min(pads, default=0) < 0:
        raise NoRule
    around = [amounts.get(a, [0, 0]) for a in range(1, x.rank)]
    cuts = [(a, list(range(max(-b, 0), n - max(-e, 0)))) for a, (n, (b, e)) in enumerate(zip(x.sizes, around, strict=True), 1)]
    grown = [[max(b, 0), max(e, 0)] for b, e in around]
    if not any(map(any, grown)):
        return selected(call, x, cuts)
    y = selected(call, x, cuts, part="cut")
    attrs = {"pads": grown, "mode": mode, "value": (value or 0.0) if mode == "constant" else 0.0}
    return call.emit("pad", [y], attrs) if isinstance(y, Val) else None


@converts("Resize", "Upsample")
def resize(call: Call) -> Answer:
    """Nearest neighbour by whole factors, where every way to round gives the same neighbour."""
    x = call.val(0)
    factors = _factors(call, x)
    if call.attrs["mode"] != "nearest" or factors is None or not 3 <= x.rank <= 5 or factors[0] != 1:
        raise NoRule
    way = (call.get("coordinate_transformation_mode", "asymmetric"), call.get("nearest_mode", "floor"))
    if call.kind == "Resize" and way not in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")):
        raise NoRule
    return call.emit("upsample", [x], {"scales": factors[1:], "mode": "nearest"})


def _factors(call: Call, x: Val) -> list[int] | None:
    """Whole factors for axis 1 and behind; `None` where they are others."""
    if call.get("axes") or call.get("antialias", 0) or call.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return None
    if "scales" in call.attrs:
        scales: Sequence[float] = call.attrs["scales"]
    else:
        last = 1 if call.kind == "Upsample" or call.lifting.source.opset < 11 else 2
        given = call.input(last)
        if not isinstance(given, Const) or given.array.size == 0:
            return _by_sizes(call, x)
        scales = given.array.reshape(-1).tolist()
    if len(scales) != x.rank or scales[0] != 1 or any(not 1 <= s <= FAR or s != int(s) for s in scales):
        return None
    return [int(s) for s in scales[1:]]


def _by_sizes(call: Call, x: Val) -> list[int] | None:
    sizes = call.sizes("sizes", 3)
    if sizes is None or len(sizes) != x.rank or not (sizes[0] == Batch() or (call.lifting.one and sizes[0] == 1)):
        return None
    if any(not isinstance(m, int) or m < n or m % n for m, n in zip(sizes[1:], x.sizes, strict=True)):
        return None
    return [int(m) // n for m, n in zip(sizes[1:], x.sizes, strict=True) if isinstance(m, int)]
