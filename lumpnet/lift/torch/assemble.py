"""From drafted nodes to the graph: names, tensors, annotations, and one dtype throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from lumpnet.errors import LiftError
from lumpnet.ir import FLOATS, Graph, Node, Shape, Value
from lumpnet.lift.torch.names import Stack, annotation, name_nodes
from lumpnet.lift.torch.operands import Form, Param, Val
from lumpnet.lift.torch.state import State


@dataclass(frozen=True)
class Draft:
    """A node before it has a name; `inputs` are names of graph inputs or positions of drafts. `operation` names it where no module does."""

    stack: Stack
    operation: str
    form: Form
    inputs: tuple[str | int, ...]
    shape: Shape
    dtype: str


def assemble(
    inputs: Sequence[Value],
    drafts: Sequence[Draft],
    outputs: Sequence[Val],
    state: State,
    modules: Mapping[str, nn.Module],
    notes: Sequence[str],
) -> Graph:
    """Raises `LiftError` where the floating values have several dtypes, `GraphError` for NaN or infinite parameters."""
    reserved = set(modules) | set(state.named)
    names, alone = name_nodes([d.stack for d in drafts], [d.operation for d in drafts], [v.name for v in inputs], reserved)
    nodes = tuple(_node(d, name, names, modules if single else {}, state) for d, name, single in zip(drafts, names, alone, strict=True))
    _one_dtype([*inputs, *(n.value for n in nodes)])
    results = tuple(_resolve(v.ref, names) for v in outputs)
    return Graph(tuple(inputs), nodes, results, state.tensors, frozenset(state.buffers), tuple(dict.fromkeys([*notes, *state.notes])))


def _node(draft: Draft, name: str, names: Sequence[str], modules: Mapping[str, nn.Module], state: State) -> Node:
    path = draft.stack.path
    params = {role: state.key(p, path, role, name) for role, p in _with_siblings(draft.form, state).items()}
    inputs = tuple(_resolve(ref, names) for ref in draft.inputs)
    module = annotation(modules.get(path), path)
    return Node(Value(name, draft.shape, draft.dtype), draft.form.kind, inputs, draft.form.attrs, params, module)


def _with_siblings(form: Form, state: State) -> dict[str, Param]:
    """A running mean brings the counter that torch stores beside it."""
    counter = state.sibling(form.params["mean"], "running_mean", "num_batches_tracked") if "mean" in form.params else None
    return dict(form.params) | ({"num_batches_tracked": counter} if counter else {})


def _resolve(ref: str | int, names: Sequence[str]) -> str:
    return ref if isinstance(ref, str) else names[ref]


def _one_dtype(values: Sequence[Value]) -> None:
    known: str | None = None
    for value in values:
        if not value.dtype.startswith(("float", "bfloat", "complex")):
            continue
        if value.dtype not in FLOATS or (known and value.dtype != known):
            raise LiftError(
                f"value {value.name!r}",
                f"its dtype is {value.dtype}",
                f"one dtype throughout, {known or 'float32 or float64'}",
                "convert the module and its inputs with .float() or .double()",
            )
        known = value.dtype
