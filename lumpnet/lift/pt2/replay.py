"""The calls of a document recorded again by torch, on tensors without data.

The recorded program is one of torch's own making: its names are made here, its
shapes are computed by torch's rules and not taken from the file, and the batch
is one symbol. From there on it goes the way of every exported module.
"""

from __future__ import annotations

import operator
import warnings
from typing import Any

import sympy
import torch
import torch.utils._pytree as pytree
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch._export.verifier import TrainingIRVerifier
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import ExportedProgram
from torch.export.exported_program import ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import ExportGraphSignature, InputKind, InputSpec, OutputKind, OutputSpec, TensorArgument
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.fx.node import map_arg

from lumpnet.errors import LiftError
from lumpnet.ir import Graph
from lumpnet.lift.pt2.binding import bind, stopped, target_of
from lumpnet.lift.pt2.calls import Call
from lumpnet.lift.pt2.document import Document, Input
from lumpnet.lift.pt2.effort import check_sizes
from lumpnet.lift.pt2.modules import stand_ins
from lumpnet.lift.pt2.weights import Stored, Weights
from lumpnet.lift.torch.driver import lift_exported
from lumpnet.lift.torch.export import Exported

HINT = 8191
"""The batch size that torch has in mind while it records: a prime, so that no size of a layer equals or divides it by chance."""

KINDS = {"parameter": InputKind.PARAMETER, "buffer": InputKind.BUFFER, "tensor_constant": InputKind.CONSTANT_TENSOR}
Argument = Any


def lift_document(document: Document, weights: Weights) -> Graph:
    """Raises `LiftError` where torch's rules refuse a call, or the program fixes the batch size."""
    tensors = _tensors(weights)
    replay = _Replay(document, tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = replay.program()
        try:
            plain = program.run_decompositions({})
        except Exception as error:
            raise stopped(document.where, error) from error
    replay.still_dynamic()
    stored = {name: tensors[name] for name in weights.tensors}
    parameters = {name: tensor for name, tensor in stored.items() if weights.tensors[name].parameter}
    others = {name: tensor for name, tensor in stored.items() if name not in parameters}
    names = tuple(i.name for i in document.inputs if i.kind == "user_input")
    return lift_exported(Exported(plain, names, stand_ins(document), parameters, others, aliases=replay.aliases))


def _tensors(weights: Weights) -> dict[str, torch.Tensor]:
    """Views of the records: tied tensors share memory, as they did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bytes are read-only, and nothing writes to them
        flat = {name: torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8) for name, data in weights.records.items()}
    return {name: _tensor(stored, flat[stored.record]) for name, stored in weights.tensors.items()}


def _tensor(stored: Stored, record: torch.Tensor) -> torch.Tensor:
    dtype = getattr(torch, stored.dtype)
    whole = record[: len(record) - len(record) % dtype.itemsize].view(dtype)
    tensor = whole.as_strided(stored.shape, stored.strides, stored.offset)
    if not stored.parameter:
        return tensor
    return torch.nn.Parameter(tensor, requires_grad=stored.trainable and tensor.is_floating_point())


class _Replay:
    """`values` has the recorded node of every name in the file; `aliases` leads from names in the program to those of the file."""

    def __init__(self, document: Document, tensors: dict[str, torch.Tensor]):
        self.document, self.tensors = document, tensors
        self.shapes = ShapeEnv()
        self.fake = FakeTensorMode(shape_env=self.shapes, export=True)
        self.batch = _symbol(self.shapes)
        self.graph = fx.Graph()
        self.values: dict[str, fx.Node] = {}
        self.aliases: dict[str, str] = {}
        self.state: dict[str, torch.Tensor] = {}
        self.constants: dict[str, Any] = {}

    def program(self) -> ExportedProgram:
        inputs = [self._input(i, given) for i, given in enumerate(self.document.inputs)]
        with self.fake, torch.no_grad(), enable_python_dispatcher():  # which knows recurrent layers on symbolic sizes
            for call in self.document.calls:
                try:
                    self._call(call)
                except LiftError:
                    raise
                except Exception as error:
                    raise stopped(call.where, error) from error
        results = [self.values[name] for name in self.document.outputs]
        self.graph.output(tuple(results))
        signature = ExportGraphSignature(inputs, [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(node.name), None) for node in results])
        count = sum(spec.kind == InputKind.USER_INPUT for spec in inputs)
        taken = pytree.tree_structure((tuple(range(count)), {}))
        given = pytree.tree_structure(tuple(range(len(results))) if len(results) > 1 else 0)
        entry = ModuleCallEntry("", ModuleCallSignature([], [], taken, given, None))
        try:
            return ExportedProgram(torch.nn.Module(), self.graph, signature, self.state, {}, [entry], constants=self.constants, verifiers=[TrainingIRVerifier])
        except Exception as error:
            raise stopped(self.document.where, error) from error

    def still_dynamic(self) -> None:
        """Raises `LiftError` if a call made torch fix the batch size, or tie it to a number."""
        fixed = not isinstance(self.batch.node.expr, sympy.Symbol)
        tied = [guard.expr for guard in self.shapes.guards if isinstance(guard.expr, sympy.Eq)]
        if fixed or tied:
            raise LiftError(
                self.document.where,
                "its calls fix the batch size",
                "calls that accept every batch size on axis 0",
                "use x.shape[0], not a number, and export with a dynamic batch",
            )

    def _input(self, number: int, given: Input) -> InputSpec:
        if given.kind == "user_input":
            node = self.graph.placeholder(f"x_{number}")
            sizes = [self.batch if size is None else size for size in given.sizes]
            try:
                with self.fake:
                    node.meta["val"] = torch.empty(sizes, dtype=getattr(torch, given.dtype))
            except Exception as error:
                raise stopped(f"{self.document.where}: input {given.name!r}", error) from error
            self.aliases[node.name] = given.name
            spec = InputSpec(InputKind.USER_INPUT, TensorArgument(node.name), None)
        else:
            tensor, name = self.tensors[given.stored], f"t_{number}"
            node = self.graph.placeholder(f"p_{name}")
            node.meta["val"] = self.fake.from_tensor(tensor, static_shapes=True)
            self.aliases[name] = given.stored
            kept = given.kind != "tensor_constant" and given.persistent
            (self.state if kept else self.constants)[name] = tensor
            spec = InputSpec(KINDS[given.kind], TensorArgument(node.name), name, given.persistent if given.kind == "buffer" else None)
        self.values[given.name] = node
        return spec

    def _call(self, call: Call) -> None:
        target = target_of(call)
        args, kwargs = bind(call, target, self.values.__getitem__, "cpu")
        node = self._record(target, args, kwargs, call)
        if call.several:
            for i, name in enumerate(call.results):
                if name:
                    self.values[name] = self._record(operator.getitem, (node, i), {}, call)
        elif call.results and call.results[0]:
            self.values[call.results[0]] = node

    def _record(self, target: Any, args: tuple[Argument, ...], kwargs: dict[str, Argument], call: Call) -> fx.Node:
        node = self.graph.call_function(target, args, kwargs)
        node.meta["val"] = target(*_known(args), **_known(kwargs))
        check_sizes(call, node.meta["val"])
        node.meta["nn_module_stack"] = {key: (path, kind) for key, path, kind in call.stack}
        node.meta["stack_trace"], node.meta["torch_fn"] = "", ("call", "call")
        return node


def _symbol(shapes: ShapeEnv) -> torch.SymInt:
    """A batch size of which only this is known: it is 2 or more, and torch may think of `HINT`."""
    symbol = sympy.Symbol("s0", positive=True, integer=True)
    remember: Any = getattr(shapes, "add_backed_var_to_val", None) or shapes.add_var_to_val
    remember(symbol, HINT)
    shapes.constrain_symbol_range(symbol, compiler_min=2, compiler_max=sympy.oo)
    size = shapes.create_symintnode(symbol, hint=HINT)
    assert isinstance(size, torch.SymInt)
    return size


def _known(arguments: Any) -> Any:
    return map_arg(arguments, lambda node: node.meta["val"])
