"""One ONNX node, read by its operator's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import onnx

from lumpnet.errors import LiftError
from lumpnet.lift.onnx.operands import Batch, Const, Operand, Size, Val

if TYPE_CHECKING:
    from lumpnet.lift.onnx.driver import Lifting

PLAIN: dict[Any, Callable[[Any], Any]] = {
    onnx.AttributeProto.INT: lambda a: a.i,
    onnx.AttributeProto.FLOAT: lambda a: a.f,
    onnx.AttributeProto.STRING: lambda a: a.s.decode("utf-8"),
    onnx.AttributeProto.INTS: lambda a: list(a.ints),
    onnx.AttributeProto.FLOATS: lambda a: list(a.floats),
    onnx.AttributeProto.STRINGS: lambda a: [s.decode("utf-8") for s in a.strings],
    onnx.AttributeProto.TENSOR: lambda a: a.t,
}


class NoRule(Exception):
    """The network's operators cannot say this: the ONNX node becomes opaque."""


class Call:
    """`inputs` are operands (`None` where an optional one is left out), `outputs` the names, attributes have the schema's defaults."""

    def __init__(self, lifting: Lifting, proto: onnx.NodeProto, inputs: Sequence[Operand | None]):
        self.lifting, self.proto, self.inputs = lifting, proto, list(inputs)
        self.kind: str = proto.op_type
        self.where = f"node {proto.name or (proto.output[0] if proto.output else '')!r} ({self.kind})"
        self.attrs = self._attributes()
        self.bare = any(isinstance(x, Val) and x.bare for x in inputs)
        self.ats = {x.at for x in inputs if isinstance(x, Val)}

    @cached_property
    def name(self) -> str:
        """The name of the first output, which becomes the node's."""
        return str(self.proto.output[0])

    @cached_property
    def schema(self) -> Any:
        try:
            return onnx.defs.get_schema(self.kind, self.lifting.source.opset, "")
        except onnx.defs.SchemaError:
            self.refuse(f"opset {self.lifting.source.opset} has no such operator", "an operator of ONNX", "export with standard operators only")

    def _attributes(self) -> dict[str, Any]:
        known: Mapping[str, Any] = self.schema.attributes
        found = {name: PLAIN[a.default_value.type](a.default_value) for name, a in known.items() if a.default_value.type in PLAIN}
        given: set[str] = set()
        for a in self.proto.attribute:
            if a.name in given or a.name not in known or a.type not in PLAIN or int(a.type) != int(known[a.name].type.value):
                self.refuse(f"the attribute {a.name[:60]!r}", f"those of opset {self.lifting.source.opset}, each once", "export the model again")
            given.add(a.name)
            try:
                found[a.name] = PLAIN[a.type](a)
            except UnicodeDecodeError:
                self.refuse(f"the attribute {a.name!r} is no text", "UTF-8", "export the model again")
        for name in known:
            if known[name].required and name not in given:
                self.refuse(f"it has no attribute {name!r}", f"what opset {self.lifting.source.opset} requires", "export the model again")
        if found.get("num_outputs", len(self.proto.output)) != len(self.proto.output):
            self.refuse(f"{len(self.proto.output)} outputs and num_outputs {found['num_outputs']}", "one number of outputs", "export the model again")
        low, high = self.schema.min_input, self.schema.max_input
        if not low <= len(self.proto.input) <= high or not 1 <= len(self.proto.output) <= self.schema.max_output or not self.proto.output[0]:
            self.refuse(f"{len(self.proto.input)} inputs and {len(self.proto.output)} outputs", f"{low} to {high} inputs and a first output", "export again")
        return found

    def refuse(self, found: str, expected: str = "", hint: str = "") -> NoReturn:
        raise LiftError(self.where, found, expected, hint)

    def get(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def input(self, k: int) -> Operand | None:
        return self.inputs[k] if k < len(self.inputs) else None

    def val(self, k: int) -> Val:
        """Input k, a floating value. Raises `NoRule`."""
        x = self.input(k)
        if not isinstance(x, Val) or x.dtype != self.lifting.dtype:
            raise NoRule
        return x

    def const(self, k: int) -> Const:
        """Input k, a floating constant without the batch. Raises `NoRule`."""
        c = self.input(k)
        if not isinstance(c, Const) or not c.floating or c.spread:
            raise NoRule
        return c

    def scalar(self, k: int) -> float | None:
        """Input k as one finite number, `None` where it is left out. Raises `NoRule`."""
        c = self.input(k)
        if c is None:
            return None
        if not isinstance(c, Const) or c.array.size != 1 or c.array.dtype.kind not in "fiu" or not np.isfinite(c.array).all():
            raise NoRule
        return float(c.array.reshape(())[()])

    def number(self, name: str) -> float:
        """A float attribute, as the kernel uses it. Refuses NaN and infinity."""
        value = float(self.attrs[name])
        if not np.isfinite(value):
            self.refuse(f"{name} is {value}", "a finite number", "repair the model")
        return value

    def sizes(self, name: str, k: int) -> list[Size] | None:
        """Integers given as the attribute `name` (old opsets) or as input k; `None` where there are none. Raises `NoRule`."""
        if name in self.attrs:
            return list(self.attrs[name])
        c = self.input(k)
        if c is None:
            return None
        if not isinstance(c, Const) or c.array.dtype.kind not in "iuO" or c.array.ndim > 1:
            raise NoRule
        return c.sizes()

    def ints(self, name: str, k: int) -> list[int] | None:
        """Like `sizes`, without the batch. Raises `NoRule`."""
        found = self.sizes(name, k)
        if found is not None and any(isinstance(v, Batch) for v in found):
            raise NoRule
        return found  # type: ignore[return-value]

    def axis(self, value: int, rank: int) -> int:
        """An axis of a value of `rank` axes, the batch among them, counted from the front. Refuses one outside the operand."""
        rank -= self.bare
        if not -rank <= value < rank:
            self.refuse(f"axis {value} of {rank} axes", "an axis of its input", "export the model again")
        axis, at = value % rank + self.bare, max(self.ats, default=0)
        return axis if axis > at or not at else 0 if axis == at else axis + 1

    def used(self, k: int) -> bool:
        """Whether output k is there and something reads it."""
        names = self.proto.output
        return k < len(names) and bool(names[k]) and self.lifting.uses[names[k]] > 0

    def emit(self, kind: str, inputs: Sequence[Val], attrs: Mapping[str, Any] | None = None, part: str = "", out: int = 0, **params: Const | None) -> Val:
        """Add a node. It gets the name of output `out`, or `part` behind it for a value in between. Raises `NoRule`, `LiftError`."""
        name = str(self.proto.output[out]) if out < len(self.proto.output) else ""
        if part or not name:
            name = self.lifting.free(f"{name or self.name}.{part or kind}")
        value = self.lifting.emit(name, kind, inputs, attrs or {}, {r: c for r, c in params.items() if c is not None}, self.where)
        return replace(value, bare=self.bare)

    def arranged(self, x: Val, target: Sequence[int], part: str = "", out: int = 0) -> Val:
        """x in another shape, in a file that is for one example: a first size of 1 is the batch, another one makes the value bare."""
        bare = not target or target[0] != 1
        sizes = list(target) if bare else list(target[1:])
        if sizes == x.sizes:
            y = x if part or not self.lifting.is_output(self.proto.output[out]) else self.emit("identity", [x], out=out)
        else:
            y = self.emit("reshape", [x], {"shape": sizes}, part=part, out=out)
        return replace(y, bare=bare)

    def strip(self) -> None:
        """Make every value bare, so that axes are those of the file."""
        self.bare, self.ats = True, {0}
        for k, x in enumerate(self.inputs):
            if isinstance(x, Val) and not x.bare:
                self.inputs[k] = self.emit("reshape", [x], {"shape": x.written}, part=f"whole{k}")

    def passed(self, x: Operand, out: int = 0) -> Operand:
        """The operand itself as output `out`; an identity where it is an output of the network."""
        if isinstance(x, Val) and self.lifting.is_output(self.proto.output[out]):
            return self.emit("identity", [x], out=out)
        return x

    def literal(self, value: float | np.ndarray, name: str = "") -> Const:
        """A constant of the network's float type that stands in no initializer."""
        return Const(np.asarray(value, dtype=self.lifting.dtype), name)

    def positions(self, x: Val, kind: str) -> int:
        """How many spatial axes (batch, units, ...) has. Raises `NoRule` outside 1 to 3."""
        if not 3 <= x.rank <= 5:
            raise NoRule
        return x.rank - 2
