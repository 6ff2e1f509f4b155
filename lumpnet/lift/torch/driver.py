"""The walk over an exported program. It asks the registry, and never which operator it is."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.fx import Node as FxNode

from lumpnet.errors import LiftError
from lumpnet.ir import FLOATS, Graph, Shape
from lumpnet.lift.torch import kinds as _kinds  # noqa: F401  (fills the registry)
from lumpnet.lift.torch.assemble import Draft, assemble
from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.export import Exported, export_module
from lumpnet.lift.torch.heads import attended
from lumpnet.lift.torch.layouts import FOLLOWED, Layouts, Place
from lumpnet.lift.torch.names import Stack, common, stack_of
from lumpnet.lift.torch.opaque import check_function, encode
from lumpnet.lift.torch.operands import Deferred, Form, Items, Operand, Param, Parts, Size, Stacked, Val, is_batched
from lumpnet.lift.torch.program import Program, dtype_name, extents
from lumpnet.lift.torch.registry import CONVERTERS, EXPANDERS, FOLDERS, SPLITTERS, Emit
from lumpnet.lift.torch.tidy import read_only, tidied

FOLDED = 1 << 24
"""So many numbers may be folded from few: a file can ask for any number of copies."""

NUMBERS = (torch.SymInt, torch.SymFloat, torch.SymBool, int, float)


def lift_module(module: nn.Module, example_inputs: tuple[torch.Tensor, ...]) -> Graph:
    """The graph of `module` in eval mode; the module itself is left alone.

    `example_inputs` is one tensor per argument of `forward`, batch on axis 0;
    only their shapes and dtypes matter. What has no rule becomes an `opaque`
    node. Raises `LiftError` where the network cannot be written down without
    changing it, and `GraphError` for NaN or infinite parameters.
    """
    return lift_exported(export_module(module, example_inputs))


def lift_exported(exported: Exported) -> Graph:
    """The graph of an exported program, whoever exported it. Raises as `lift_module` does."""
    lifting = _Lifting(Program(exported))
    outputs: list[Val] = []
    for node in lifting.program.exported.program.graph.nodes:
        if node.op == "call_function":
            lifting.call(node)
        elif node.op == "output":
            outputs = [lifting.result(value, node) for value in lifting.program.returned(node)]
    program = lifting.program
    drafts, outputs = tidied(*read_only(lifting.drafts, outputs))
    return assemble(program.inputs, drafts, outputs, program.state, program.modules, program.notes)


@dataclass
class _Lifting:
    """`settled` maps the deferred calls that became nodes to their values."""

    program: Program
    drafts: list[Draft] = field(default_factory=list)
    settled: dict[Deferred, Val] = field(default_factory=dict)
    calls: int = 0

    def __post_init__(self) -> None:
        self.env: dict[FxNode, Operand] = dict(self.program.env)
        self.layouts = Layouts(self._form)

    def call(self, node: FxNode) -> None:
        """Give the call an operand. Raises `LiftError` for what is no function on tensors."""
        value = node.meta.get("val")
        if node.target is operator.getitem:
            self.env[node] = self._item(node)
        elif value is None and not node.users:
            return  # an assertion about sizes and dtypes, which export has decided
        elif isinstance(value, NUMBERS):
            self.env[node] = Size(getattr(getattr(value, "node", None), "expr", value))
        elif isinstance(node.target, torch._ops.OpOverload):
            self.env[node] = self._operator(node)
        else:
            raise self._control_flow(node)

    def result(self, value: object, output: FxNode) -> Val:
        """An output of the network. Raises `LiftError` if it has no place in a graph."""
        operand = self._operand(value, output) if isinstance(value, FxNode) else None
        operand = self._settle(operand) if isinstance(operand, Deferred) else operand
        if isinstance(operand, Val) and is_batched(operand):
            return operand
        hint = "wrap the module and return tensors that depend on the input only"
        raise LiftError(self.program.name, f"the output {value!s} is no value with the batch on axis 0", "outputs of shape (batch, ...)", hint)

    def _control_flow(self, node: FxNode) -> LiftError:
        found = f"export kept {node.target!s}, which is no tensor operator"
        return LiftError(
            self.program.layer(node), found, "a forward without control flow on data", "replace torch.cond, loops and custom calls by tensor operations"
        )

    def _operator(self, node: FxNode) -> Operand:
        call, target = self._as_call(node), str(node.target)
        if target in FOLDERS and _modest(call):
            folded = FOLDERS[target](call)
            if folded is not None:
                return folded
        place = self._arranged(call)
        if place is not None:
            return self._at(call, place)
        expanded = EXPANDERS[target](call, self._emitter(call)) if target in EXPANDERS else None
        if expanded is not None:
            return replace(expanded, rest=self._deferred(call)) if isinstance(expanded, Items) else expanded
        parts = SPLITTERS[target](call) if target in SPLITTERS else None
        if parts is not None:
            return parts
        answer = CONVERTERS[target](call) if target in CONVERTERS and _reads_first(node) else None
        if not isinstance(answer, Form):
            return self._opaque(call) if answer is None else answer
        if not _admissible(answer, call):
            return self._opaque(call)
        value = self._emit(stack_of(node), answer.kind, answer, call.shape, call.dtype)
        return Items(value, self._deferred(call)) if isinstance(node.meta["val"], tuple | list) else value

    def _arranged(self, call: Call) -> Place | None:
        """The call's value as an arrangement of a value that has a place, where it cannot be a node as it stands."""
        found = attended(call, self.layouts, self.env)
        if found is not None:
            return found
        source = call.get("self", call.get("input"))
        if isinstance(source, Deferred):
            return self.layouts.moved(call, extents(call.node.meta["val"], self.program.batch)) or self._on_the_base(call, source)
        return None if call.shape is not None else self.layouts.moved(call, extents(call.node.meta["val"], self.program.batch))

    def _on_the_base(self, call: Call, source: Deferred) -> Place | None:
        """A linear layer on the last dimension of an arrangement, as one on the last axis of the base."""
        place = self.layouts.of(source) if source.shape is None else None
        if place is None or str(call.target) != "aten.linear.default" or not place[1].last_dim_is_axis(len(place[1].shape)):
            return None
        value = self.layouts.make(stack_of(call.node), (place[0], place[1].whole()))
        if value is None:
            return None
        read: dict[FxNode, Operand] = {node: value if operand is source else operand for node, operand in call.operands.items()}
        answer = CONVERTERS[str(call.target)](replace(call, operands=read))
        if not isinstance(answer, Form) or value.dtype != call.dtype:
            return None
        size = int(call.node.meta["val"].shape[-1])
        made = self._form(stack_of(call.node), replace(answer, shape=(*value.shape[:-1], size)))
        return made, place[1].resized(len(place[1].shape), size)

    def _at(self, call: Call, place: Place) -> Operand:
        if place[1].is_base():
            return place[0]
        deferred = self._deferred(call)
        self.layouts.known[deferred] = place
        return deferred

    def _as_call(self, node: FxNode) -> Call:
        operands = {n: self._operand(n, node) for n in node.all_input_nodes}
        if str(node.target) not in FOLLOWED:
            operands = {n: self._placed(o) for n, o in operands.items()}
        value = node.meta["val"]
        first = value[0] if isinstance(value, tuple | list) and value else value
        path = stack_of(node).path
        return Call(
            node,
            operands,
            self.program.modules.get(path),
            path,
            self.program.shape(first, _depends(operands)),
            dtype_name(first),
            self._source(),
        )

    def _source(self) -> Val:
        value = self.program.inputs[0]
        return Val(value.name, value.shape, value.dtype)

    def _operand(self, node: FxNode, user: FxNode) -> Operand:
        if node not in self.env:
            found = f"it reads {node.name!r}, which is no tensor"
            raise LiftError(self.program.layer(user), found, "operators on tensors", "write the layer with tensor operations only")
        operand = self.env[node]
        return self.settled.get(operand, operand) if isinstance(operand, Deferred) else operand

    def _placed(self, operand: Operand) -> Operand:
        """An arrangement with the batch in front, as a node: what reads it need not wait."""
        known = isinstance(operand, Deferred) and operand.shape is not None and operand in self.layouts.known
        return self._settle(operand) if known and isinstance(operand, Deferred) else operand

    def _item(self, node: FxNode) -> Operand:
        parent: Any = node.args[0]
        item: Any = node.args[1]
        source, ends = self._operand(parent, node), None
        if isinstance(source, Parts):
            part = source.items[item]
            return self._form(stack_of(node), part) if isinstance(part, Form) else part
        if isinstance(source, Items):
            if item == 0:
                return source.first
            assert source.rest is not None
            ends, source = source.ends.get(item), source.rest
        assert isinstance(source, Deferred)
        value = node.meta["val"]
        call = Deferred(self._next(), node, self.program.shape(value, _depends(source.operands)), dtype_name(value), {parent: source})
        place = self.layouts.part(source, int(str(node.args[1])))
        if place is not None:
            self.layouts.known[call] = place
            return call
        if ends is not None:
            return Stacked(call.order, node, call.shape, call.dtype, call.operands, ends)
        return self._settle(call) if _placed(call, source.operands) else call

    def _opaque(self, call: Call) -> Operand:
        check_function(call.node, self.program.layer(call.node))
        deferred = self._deferred(call)
        return self._settle(deferred) if _placed(deferred, call.operands) else deferred

    def _deferred(self, call: Call) -> Deferred:
        several = isinstance(call.node.meta["val"], tuple | list)
        return Deferred(self._next(), call.node, None if several else call.shape, call.dtype, call.operands)

    def _next(self) -> int:
        self.calls += 1
        return self.calls

    def _settle(self, call: Deferred) -> Val:
        """Make a deferred call a node. Raises `LiftError` where its value has no place in a graph."""
        if call in self.settled:
            return self.settled[call]
        made = self.layouts.make(stack_of(call.node), self.layouts.known[call]) if call in self.layouts.known else None
        if made is not None:
            self.settled[call] = made
            return made
        if call.shape is None:
            found = f"its value of shape {tuple(call.node.meta['val'].shape)} does not keep the batch on axis 0"
            hint = "move the batch back to axis 0 before the value is used or returned"
            raise LiftError(self.program.layer(call.node), found, "values (batch, ...) that treat each sample by itself", hint)
        code = encode(call, self.program.batch, self.program.inputs[0], self.program.layer)
        params = {str(i): p for i, p in enumerate(code.params)}
        form = Form("opaque", tuple(code.inputs), code.attrs, params)
        self.settled[call] = self._emit(common(stack_of(n) for n in code.calls), code.operation, form, call.shape, call.dtype)
        if call.shape[:1] != (None,) and code.params:
            self._advise(call.node)
        return self.settled[call]

    def _emitter(self, call: Call) -> Emit:
        return lambda form, shape, name: self._emit(stack_of(call.node), name, form, shape, call.dtype)

    def _emit(self, stack: Stack, operation: str, form: Form, shape: Shape | None, dtype: str) -> Val:
        assert shape is not None
        operands = [self._form(stack, v) if isinstance(v, Form) else self._settle(v) if isinstance(v, Deferred) else v for v in form.inputs]
        self.drafts.append(Draft(stack, operation, form, tuple(v.ref for v in operands), shape, dtype))
        value = Val(len(self.drafts) - 1, shape, dtype)
        self.layouts.note(value, replace(form, inputs=tuple(operands)))
        return value

    def _form(self, stack: Stack, form: Form) -> Val:
        """A node for a form that brings its own shape; its dtype is that of what it reads."""
        return self._emit(stack, form.kind, form, form.shape, next(_read(form)).dtype)

    def _advise(self, node: FxNode) -> None:
        if "lumpnet_notes" in vars(self.program.exported.modules[""]):
            return  # a lowered network, which was told when it was lifted
        path = stack_of(node).path.split(".parametrizations")[0] or "the network"
        note = f"{path}: its parameters are computed, with rounding, and kept so; torch.nn.utils.parametrize.remove_parametrizations makes them plain"
        if note not in self.program.notes:
            self.program.notes.append(note)


def _reads_first(node: FxNode) -> bool:
    """Converters speak of the first output of an operator with several."""
    return not isinstance(node.meta["val"], tuple | list) or any(user.args[1] == 0 for user in node.users)


def _modest(call: Call) -> bool:
    """Whether the call reads parameters alone and gives not many more numbers than they hold."""
    sizes = [o.tensor.numel() for o in call.operands.values() if isinstance(o, Param)]
    result = call.node.meta["val"]
    return bool(sizes) and len(sizes) == len(call.operands) and isinstance(result, torch.Tensor) and result.numel() <= max(FOLDED, 4 * sum(sizes))


def _placed(call: Deferred, operands: Mapping[FxNode, Operand]) -> bool:
    """Whether the call can be a node at once. One that reads deferred values waits, so that a region becomes one node."""
    return call.shape is not None and not any(isinstance(o, Deferred) for o in operands.values())


def _depends(operands: Mapping[FxNode, Operand]) -> bool:
    """Whether a call on these operands may depend on the batch."""
    return any(isinstance(o, Deferred) or is_batched(o) or (isinstance(o, Size) and not isinstance(o.expr, int | float)) for o in operands.values())


def _admissible(form: Form, call: Call) -> bool:
    """Kinds with rules give floating values with the batch on axis 0; their operands are such values too, or what the form says."""
    batched = call.shape is not None and call.shape[:1] == (None,)
    return batched and call.dtype in FLOATS and all(is_batched(v) and v.dtype in (form.dtypes or (call.dtype,)) for v in _read(form))


def _read(form: Form) -> Iterator[Val | Deferred]:
    """The values that a form reads, by way of the forms in it."""
    for operand in form.inputs:
        if isinstance(operand, Form):
            yield from _read(operand)
        else:
            yield operand
