"""Names of nodes, and the leaf modules they come from.

A module call that made a single node gives the node its path; other nodes are
called after the innermost module and their kind (`layer1.0.add`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn
from torch.fx import Node as FxNode

from lumpnet.ir import Module

CONTAINERS = ("Module", "Sequential", "ModuleList", "ModuleDict")
ORIGIN = "lumpnet_origin"


@dataclass(frozen=True)
class Stack:
    """Where a call was made: the keys and paths of the enclosing module calls, outermost first."""

    keys: tuple[str, ...]
    paths: tuple[str, ...]

    @property
    def path(self) -> str:
        return self.paths[-1] if self.paths else ""

    @property
    def key(self) -> str:
        return self.keys[-1] if self.keys else ""


def stack_of(node: FxNode) -> Stack:
    entries = [(key, path) for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items() if not key.startswith("_empty")]
    return Stack(tuple(key for key, _ in entries), tuple(path for _, path in entries))


def common(stacks: Iterable[Stack]) -> Stack:
    """The innermost module call that encloses all of these."""
    first, *rest = stacks
    depth = len(first.keys)
    while depth and any(s.keys[:depth] != first.keys[:depth] for s in rest):
        depth -= 1
    return Stack(first.keys[:depth], first.paths[:depth])


def name_nodes(stacks: Sequence[Stack], kinds: Sequence[str], inputs: Iterable[str], state: Iterable[str]) -> tuple[list[str], list[bool]]:
    """The nodes' names, distinct and outside `inputs`, and whether each is the only node of its module call.

    Names made up here also stay outside `state`: the paths of modules and tensors.
    """
    made = Counter(s.key for s in stacks)
    outer = {key for s in stacks for key in s.keys[:-1]}
    alone = [bool(s.path) and made[s.key] == 1 and s.key not in outer for s in stacks]
    used, kept = set(inputs), set(state)
    names: list[str] = []
    for stack, kind, single in zip(stacks, kinds, alone, strict=True):
        name = _call_name(stack.path, used) if single else _free(f"{stack.path}.{kind}".lstrip("."), used | kept)
        used.add(name)
        names.append(name)
    return names, alone


def _call_name(path: str, taken: set[str]) -> str:
    count, name = 0, path
    while name in taken:
        count += 1
        name = f"{path}@{count}"
    return name


def _free(wanted: str, taken: set[str]) -> str:
    count, name = 0, wanted
    while name in taken or hasattr(nn.Module, name.rpartition(".")[2]):
        count += 1
        name = f"{wanted}_{count}"
    return name


def annotation(module: nn.Module | None, path: str) -> Module | None:
    """The module as an annotation: the nearest type of `torch.nn` that computes; `None` where there is none."""
    if module is None:
        return None
    if ORIGIN in vars(module):
        origin: Module | None = vars(module)[ORIGIN]
        return origin
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn.modules.") and base.__name__ not in CONTAINERS:
            return Module(path, base.__name__) if not base.__name__.startswith("_") else None
    return None
