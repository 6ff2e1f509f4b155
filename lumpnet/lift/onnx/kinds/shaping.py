"""Operators that arrange the entries of every example anew."""

from __future__ import annotations

import math
from dataclasses import replace

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Batch, Const, Operand, Size, Val
from lumpnet.lift.onnx.registry import converts

AWAY = "it moves the batch away from axis 0"
STAY = "values (batch, ...)"
HINT = "export with the batch on axis 0 throughout"


def reshaped(call: Call, x: Val, sizes: list[int], part: str = "", out: int = 0) -> Operand:
    """x with these sizes behind the batch; itself where they are its own."""
    if sizes == x.sizes:
        return x if part else call.passed(x, out)
    return call.emit("reshape", [x], {"shape": sizes}, part=part, out=out)


@converts("Reshape")
def reshape(call: Call) -> Answer:
    x, target = call.val(0), call.sizes("shape", 1)
    if target is None:
        raise NoRule
    if x.at and not call.lifting.one:
        return _behind_moved(call, x, target)
    if not call.get("allowzero", 0):
        target = [_copied(call, x, k) if v == 0 else v for k, v in enumerate(target)]
    if call.lifting.one:
        if x.at:
            call.strip()
        return call.arranged(call.val(0), _concrete(call, x, target))
    return reshaped(call, x, _behind_batch(call, x, target))


def _behind_moved(call: Call, x: Val, target: list[Size]) -> Answer:
    """Where the batch is on another axis: the axes before it stay, those behind it may be arranged anew."""
    before, rest = target[: x.at], target[x.at + 1 :]
    same = len(target) > x.at and target[x.at] in (0, Batch()) and all(v in (0, n) for v, n in zip(before, x.sizes[: x.at], strict=True))
    if not same or call.get("allowzero", 0) or any(isinstance(v, Batch) or v == 0 for v in rest):
        raise NoRule
    n, sizes = math.prod(x.sizes[x.at :]), [v for v in rest if isinstance(v, int)]
    known = math.prod(v for v in sizes if v != -1)
    if sizes.count(-1) > 1 or known < 1 or n % known or (-1 not in sizes and known != n):
        raise NoRule
    y = reshaped(call, x, [*x.sizes[: x.at], *(n // known if v == -1 else v for v in sizes)])
    return replace(y, at=x.at) if isinstance(y, Val) else None


def _copied(call: Call, x: Val, k: int) -> Size:
    if k >= x.axes:
        call.refuse(f"the target copies axis {k} of {x.axes}", "an axis of its input", "check the model")
    return Batch() if k == 0 and not x.bare else x.written[k]


def _concrete(call: Call, x: Val, target: list[Size]) -> list[int]:
    """The target in a file that is for one example."""
    sizes, n = [v.times if isinstance(v, Batch) else v for v in target], math.prod(x.sizes)
    known = math.prod(v for v in sizes if v != -1)
    if sizes.count(-1) > 1 or known < 1 or n % known or (-1 not in sizes and known != n):
        call.refuse(f"it reshapes {x.written} to {sizes}", "the same number of entries", "check the model")
    return [n // known if v == -1 else v for v in sizes]


def _behind_batch(call: Call, x: Val, target: list[Size]) -> list[int]:
    """The sizes behind the batch. Refuses a target that mixes the batch with other axes."""
    n, rest = math.prod(x.sizes), target[1:]
    if not target or any(isinstance(v, Batch) for v in rest):
        call.refuse(f"{AWAY}: {_words(target)} of {_words([Batch(), *x.sizes])}", STAY, HINT)
    sizes = [v for v in rest if isinstance(v, int)]
    known = math.prod(v for v in sizes if v != -1)
    if target[0] == -1 and -1 not in sizes:
        if known != n:
            call.refuse(f"{AWAY}: {_words(target)} of {_words([Batch(), *x.sizes])}", STAY, HINT)
        return sizes
    if target[0] == 1 and not call.lifting.one:
        call.lifting.fix_batch(f"{call.where} reshapes to a batch of 1, so the file is for one example; it is taken as any number of examples")
    if not (target[0] == Batch() or (target[0] == 1 and call.lifting.one)) or sizes.count(-1) > 1 or known < 1 or n % known:
        call.refuse(f"{AWAY}: {_words(target)} of {_words([Batch(), *x.sizes])}", STAY, HINT)
    if -1 not in sizes and known != n:
        call.refuse(f"it reshapes {x.sizes} to {sizes}", "the same number of entries", "check the model")
    return [n // known if v == -1 else v for v in sizes]


def _words(sizes: list[Size] | list[Batch | int]) -> str:
    return "(" + ", ".join("batch" if v == Batch() else f"{v.times} batch" if isinstance(v, Batch) else str(v) for v in sizes) + ")"


@converts("Flatten")
def flatten(call: Call) -> Answer:
    """(axes before, axes from `axis` on), each as one."""
    x, given = call.val(0), call.attrs["axis"]
    axis = x.rank if given == x.axes else call.axis(given, x.rank)
    if call.lifting.one:
        at = axis - x.bare
        return call.arranged(x, [math.prod(x.written[:at]), math.prod(x.written[at:])])
    if axis == 0 or math.prod(x.sizes[: axis - 1]) != 1:
        call.refuse(f"{AWAY}: flattened at axis {axis} of {_words([Batch(), *x.sizes])}", STAY, HINT)
    return reshaped(call, x, [math.prod(x.sizes[axis - 1 :])])


@converts("Squeeze")
def squeeze(call: Call) -> Answer:
    x, given = call.val(0), call.ints("axes", 1)
    axes = [call.axis(a, x.rank) for a in given] if given is not None else [k for k, n in enumerate(x.sizes, 1) if n == 1]
    if call.lifting.one and not x.at and given is not None and all(x.written[a - x.bare] == 1 for a in axes):
        return call.arranged(x, [n for k, n in enumerate(x.written, x.bare) if k not in axes])
    if x.at and given is not None and 0 not in axes and all(x.shape[a] == 1 for a in axes):
        y = reshaped(call, x, [n for k, n in enumerate(x.sizes, 1) if k not in axes])
        return replace(y, at=x.at - sum(a <= x.at for a in axes)) if isinstance(y, Val) else None
    if x.at or 0 in axes or (given is None and call.lifting.one) or any(x.shape[a] != 1 for a in axes):
        call.refuse(f"it removes the axes {given if given is not None else 'of size 1, the batch among them'}", "axes of size 1 behind the batch", HINT)
    return reshaped(call, x, [n for k, n in enumerate(x.sizes, 1) if k not in axes])


@converts("Unsqueeze")
def unsqueeze(call: Call) -> Answer:
    x, given = call.val(0), call.ints("axes", 1)
    rank = x.rank + len(given or [])
    axes = sorted({call.axis(a, rank) for a in given or []})
    if call.lifting.one and given and len(axes) == len(given):
        return call.arranged(x, _with_ones(x.written, [a - x.bare for a in axes]))
    if not given or axes[0] == 0 or len(axes) != len(given):
        call.refuse(f"it adds the axes {given}", "distinct axes behind the batch", HINT)
    return reshaped(call, x, _with_ones(x.sizes, [a - 1 for a in axes]))


def _with_ones(sizes: list[int], axes: list[int]) -> list[int]:
    out = list(sizes)
    for a in axes:
        out.insert(a, 1)
    return out


@converts("Transpose")
def transpose(call: Call) -> Answer:
    x = call.val(0)
    perm = list(call.get("perm") or range(x.axes)[::-1])
    if sorted(perm) != list(range(x.axes)):
        call.refuse(f"the permutation {perm}", f"one of {x.axes} axes", "check the model")
    if not x.bare and (x.at or perm[0] != 0):
        return _moving(call, x, perm)
    if x.bare:
        call.strip()
        x, perm = call.val(0), [0, *(p + 1 for p in perm)]
    return call.emit("permute", [x], {"dims": perm}) if perm != sorted(perm) else call.passed(x)


def _moving(call: Call, x: Val, perm: list[int]) -> Answer:
    """The batch goes from one axis of the file to another; the graph keeps it in front, and permutes the rest."""
    ours = {axis: 0 if axis == x.at else axis + (axis < x.at) for axis in perm}
    dims = [0, *(ours[axis] for axis in perm if axis != x.at)]
    at = perm.index(x.at)
    y = call.emit("permute", [x], {"dims": dims}) if dims != sorted(dims) else call.passed(x)
    return replace(y, at=at) if isinstance(y, Val) else None


@converts("DepthToSpace", "SpaceToDepth")
def depth(call: Call) -> Answer:
    """Blocks of b x b positions as channels, and back: a reshape, a permutation, a reshape."""
    x, b = call.val(0), int(call.attrs["blocksize"])
    if x.rank != 4 or b < 1:
        raise NoRule
    c, h, w = x.sizes
    if call.kind == "SpaceToDepth":
        if h % b or w % b:
            call.refuse(f"blocks of {b} in {h} x {w} positions", "sizes that are multiples of the block", "check the model")
        split, dims, end = [c, h // b, b, w // b, b], [0, 3, 5, 1, 2, 4], [c * b * b, h // b, w // b]
    else:
        if c % (b * b):
            call.refuse(f"{c} channels in blocks of {b}", "channels that are a multiple of the block", "check the model")
        crd = call.get("mode", "DCR") == "CRD"
        split = [c // b // b, b, b, h, w] if crd else [b, b, c // b // b, h, w]
        dims, end = ([0, 1, 4, 2, 5, 3] if crd else [0, 3, 4, 1, 5, 2]), [c // b // b, h * b, w * b]
    y = call.emit("reshape", [x], {"shape": split}, part="blocks")
    return call.emit("reshape", [call.emit("permute", [y], {"dims": dims}, part="moved")], {"shape": end})


@converts("Concat")
def concat(call: Call) -> Answer:
    """Of values, along an axis behind the batch."""
    if any(isinstance(x, Const) for x in call.inputs):
        raise NoRule
    xs = [call.val(k) for k in range(len(call.inputs))]
    axis = call.axis(call.attrs["axis"], xs[0].rank)
    if axis == 0:
        call.refuse("it joins along the batch", "axes behind the batch", HINT)
    return call.emit("concat", xs, {"axis": axis}) if len(xs) > 1 else call.passed(xs[0])
