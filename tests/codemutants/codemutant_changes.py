"""Small changes of source code, one at a time: what a slip of the checker's author could look like.

Left alone is what cannot make the checker accept more:

- words: arguments of errors, docstrings, and the functions that make them (`SPEAKERS`);
- the certificate's writer (`WRITERS`), which the checker never calls;
- what stands in a block that ends with a refusal, before it: only words are made there. That the block is entered at
  all is a change of the `if` above it, and so is a refusal that is passed over;
- bounds on cost (`MAX_...`, `_BLOCK`, and what is asked of them): a network beyond them is Unknown;
- the answer of a maximum or minimum about nothing (`default`, `initial`), and types.

A change keeps its name while lines move.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Place = tuple[ast.AST, str, int | None, Any]
"""A parent, its field, where in the field's list, and the node."""
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE,), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE,), ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Pow: ast.Mult,
}  # fmt: skip
NAMES = {"any": "all", "all": "any", "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
WORDS = (
    "Refusal",
    "Unsure",
    "FileError",
    "CertificateError",
    "UnknownVersion",
    "error",
    "refuse",
    "_refuse",
    "shown",
    "_show",
    "ascii",
    "ValueError",
    "ascii_line",
)
"""What these are given is words: the change would be one of words only."""
SPEAKERS = ("shown", "_show", "where", "Refusal", "Unsure")
"""Functions and classes that make words."""
WRITERS = ("dumps", "_effect_json", "_moved_json", "_lumping_json", "_real_json", "_rational_text")
"""What they write counts only as the reader reads it."""

BOUNDS = ("_bounded", "_few_taps")
"""These ask of bounds on cost and of nothing else."""


@dataclass(frozen=True)
class Change:
    """`key` names it; `lines` are the lines of which one must run for it to matter; `apply` makes of a copy of the node what stands in its place."""

    file: str
    key: str
    lines: range
    place: Place
    apply: Callable[[Any], Any]

    @contextmanager
    def made(self) -> Iterator[None]:
        """The module's tree is changed inside of the block."""
        parent, field, index, node = self.place
        kept = getattr(parent, field)
        new = self.apply(_copied(node))
        if new is not None:
            ast.fix_missing_locations(ast.copy_location(new, node) if isinstance(node, ast.expr | ast.stmt) else new)
        setattr(parent, field, new if index is None else [*kept[:index], *([] if new is None else [new]), *kept[index + 1 :]])
        try:
            yield
        finally:
            setattr(parent, field, kept)


def _copied(node: ast.AST) -> ast.AST:
    """The node with lists of its own; what stands in them is shared and must not be changed."""
    out = copy.copy(node)
    for field, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(out, field, list(value))
    return out


def places(tree: ast.AST) -> Iterator[Place]:
    """Every node with where it hangs, outer before inner."""
    for field, value in ast.iter_fields(tree):
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST):
                yield tree, field, index, node
                yield from places(node)


def changes(file: str, tree: ast.Module) -> list[Change]:
    """All of them, in the order of the source."""
    found, seen = [], Counter[str]()
    functions = list(_functions(tree, ""))
    silent = set(map(id, _silent(tree)))
    parents = {id(node): parent for parent, _, _, node in places(tree)}
    for place in places(tree):
        _, field, _, node = place
        if id(node) in silent:
            continue
        for what, apply in _of(node, field):
            where = next((name for name, f in reversed(functions) if id(node) in f), "module")
            key = f"{file}: {where}: {what}"
            seen[key] += 1
            found.append(Change(file, key if seen[key] == 1 else f"{key} #{seen[key]}", _lines(node, parents), place, apply))
    return found


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, set[int]]]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            name = f"{prefix}.{child.name}" if prefix else child.name
            yield name, {id(n) for n in ast.walk(child)}
        yield from _functions(child, name)


def _silent(tree: ast.AST) -> Iterator[ast.AST]:
    """Words and annotations: messages, docstrings, types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in WORDS:
            for argument in (*node.args, *node.keywords):
                yield from ast.walk(argument)
        elif isinstance(node, ast.JoinedStr) or (isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in SPEAKERS + WRITERS):
            yield from ast.walk(node)
        elif isinstance(node, ast.Assign) and any(map(_limit, node.targets)):
            yield from ast.walk(node.value)
        elif isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                yield from ast.walk(decorator)
        elif isinstance(node, ast.FunctionDef):
            for annotation in (node.returns, *(a.annotation for a in (*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg) if a)):
                if annotation is not None:
                    yield from ast.walk(annotation)
        elif isinstance(node, ast.AnnAssign):
            yield from ast.walk(node.annotation)
        elif isinstance(node, ast.BoolOp) and isinstance(node.values[-1], ast.Constant) and node.values[-1].value == 0:
            yield node  # `n or 0`: a size that is no batch is never None
            yield node.values[-1]
        elif isinstance(node, ast.keyword) and node.arg in ("default", "initial", "strict", "dtype"):
            yield from ast.walk(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _name(node.value.func) in BOUNDS:
            yield node
        elif _costs(node):
            yield from ast.walk(node)
        elif isinstance(node, ast.If):
            for block in (node.body, node.orelse):
                for statement in block if _refuses(block) else ():
                    yield from ast.walk(statement)
        elif isinstance(node, ast.Import | ast.ImportFrom | ast.alias):
            yield node
        elif isinstance(node, ast.Subscript) and _name(node.value) in ("Callable", "Mapping", "tuple", "dict", "list", "frozenset", "Counter", "Iterator"):
            yield from ast.walk(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and any(_name(n) in ("None", "Surd") for n in ast.walk(node.value)):
            yield from ast.walk(node.value)  # a union of types


def _refuses(block: list[ast.stmt]) -> bool:
    """Words, and the refusal that says them."""
    *words, last = block or [ast.Pass()]
    refusal = isinstance(last, ast.Raise) or (isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and _name(last.value.func) in WORDS)
    return refusal and all(isinstance(statement, ast.Assign) for statement in words)


def _costs(node: ast.AST) -> bool:
    """A question about a bound on cost, and what hangs on it."""
    if isinstance(node, ast.If):
        return any(_limit(n) for n in ast.walk(node.test))
    return isinstance(node, ast.Call) and _name(node.func) == "any" and any(_name(n).startswith("_MAX") for n in ast.walk(node))


def _limit(node: ast.AST) -> bool:
    """A bound on cost."""
    return _name(node).lstrip("_").startswith(("MAX_", "BLOCK", "CHUNK", "HINT"))


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _lines(node: ast.AST, parents: dict[int, ast.AST]) -> range:
    while not hasattr(node, "lineno"):
        node = parents[id(node)]
    last = node.test.end_lineno if isinstance(node, ast.If | ast.While) else node.end_lineno if not isinstance(node, ast.For) else node.iter.end_lineno
    return range(node.lineno, (last or node.lineno) + 1)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}..."


def _made(source: str) -> Any:
    return ast.parse(source, mode="eval").body


def _of(node: ast.AST, field: str) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """(what, how) of every change of one node."""
    match node:
        case ast.Compare():
            for k, op in enumerate(node.ops):
                for other in COMPARISONS[type(op)]:
                    yield f"{_short(node)} | comparison {k} becomes {other.__name__}", _setting("ops", k, other())
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield (
                f"{_short(node)} | {'and' if isinstance(other, ast.Or) else 'or'} becomes {'or' if isinstance(other, ast.Or) else 'and'}",
                _setting("op", None, other),
            )
            for k, part in enumerate(node.values):
                yield f"{_short(node)} | without {_short(part)}", lambda n, k=k: n.values[1 - k] if len(n.values) == 2 else _without(n, "values", k)
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            yield f"{_short(node)} | not dropped", lambda n: n.operand
        case ast.UnaryOp(op=ast.USub()):
            yield f"{_short(node)} | minus dropped", lambda n: n.operand
        case ast.BinOp() if type(node.op) in OPERATORS:
            other_operator = OPERATORS[type(node.op)]
            yield f"{_short(node)} | {type(node.op).__name__} becomes {other_operator.__name__}", _setting("op", None, other_operator())
        case ast.Constant(value=bool()):
            yield f"{node.value} | becomes {not node.value}", _setting("value", None, not node.value)
        case ast.Constant(value=int()):
            for step in (1,) if field == "slice" and node.value == 0 else (1, -1):
                yield f"{node.value} | becomes {node.value + step}", _setting("value", None, node.value + step)
        case ast.If():
            yield f"if {_short(node.test)} | never", _setting("test", None, ast.Constant(False))
            yield f"if {_short(node.test)} | always", _setting("test", None, ast.Constant(True))
        case ast.IfExp():
            yield f"{_short(node)} | always the first", lambda n: n.body
            yield f"{_short(node)} | always the second", lambda n: n.orelse
        case ast.comprehension() if node.ifs:
            for k, test in enumerate(node.ifs):
                yield f"for ... if {_short(test)} | every one", lambda n, k=k: _without(n, "ifs", k)
        case ast.Return(value=value) if value is not None and not (isinstance(value, ast.Constant) and not value.value):
            yield f"return {_short(value)} | returns None", _setting("value", None, ast.Constant(None))
            if isinstance(value, ast.Compare | ast.BoolOp) or (
                isinstance(value, ast.Call) and _name(value.func) in ("bool", "all", "any", "same", "isinstance")
            ):
                yield f"return {_short(value)} | returns True", _setting("value", None, ast.Constant(True))
                yield f"return {_short(value)} | returns False", _setting("value", None, ast.Constant(False))
        case ast.Continue():
            yield "continue | pass", lambda n: ast.Pass()
            yield "continue | break", lambda n: ast.Break()
        case ast.Raise():
            yield f"raise {_short(node.exc)[:60] if node.exc else ''} | pass", lambda n: ast.Pass()
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield f"{_short(node)} | dropped", lambda n: ast.Pass()
        case ast.AugAssign():
            yield f"{_short(node)} | dropped", lambda n: ast.Pass()
            if type(node.op) in OPERATORS:
                yield f"{_short(node)} | another operator", _setting("op", None, OPERATORS[type(node.op)]())
        case ast.Assign(targets=[ast.Subscript()]):
            yield f"{_short(node)} | dropped", lambda n: ast.Pass()
        case ast.Call(func=ast.Name() | ast.Attribute()) if _name(node.func) in NAMES and not (_name(node.func) in ("min", "max") and _default(node)):
            yield f"{_short(node)} | {NAMES[_name(node.func)]}", _renamed
        case ast.keyword() if node.arg is not None and field == "keywords":
            yield f"{_short(node.value)[:60]} for {node.arg} | left out", lambda n: None
        case ast.Lambda() if isinstance(node.body, ast.Compare | ast.BoolOp | ast.Call):
            yield f"{_short(node)} | True", _setting("body", None, ast.Constant(True))
        case ast.Set() | ast.Tuple() if len(node.elts) > 1 and all(isinstance(e, ast.Constant) for e in node.elts):
            for k, element in enumerate(node.elts):
                yield f"{_short(node)} | without {_short(element)}", lambda n, k=k: _without(n, "elts", k)
        case _:
            pass


def _default(call: ast.Call) -> bool:
    """`x.max(initial=0)` says of what it is the maximum."""
    return any(k.arg == "initial" for k in call.keywords)


def _renamed(node: Any) -> Any:
    node.func = copy.copy(node.func)
    if isinstance(node.func, ast.Name):
        node.func.id = NAMES[node.func.id]
    else:
        node.func.attr = NAMES[node.func.attr]
    return node


def _setting(field: str, index: int | None, value: Any) -> Callable[[Any], Any]:
    def apply(node: Any) -> Any:
        if index is None:
            setattr(node, field, value)
        else:
            getattr(node, field)[index] = value
        return node

    return apply


def _without(node: Any, field: str, index: int) -> Any:
    del getattr(node, field)[index]
    return node
