"""What a file tells about the modules of its network: paths, and types as texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from lumpnet.lift.pt2.document import Document
from lumpnet.lift.pt2.fields import brief

PARAMETRIZED = "torch.nn.utils.parametrize.Parametrized"
OWN = "torch.nn.modules."


def stand_ins(document: Document) -> dict[str, nn.Module]:
    """For every module path an object of the type that the file names, without content.

    A type is looked up among the classes of torch.nn that are loaded already;
    any other text gives an empty module of that name. Dropout layers know their
    probability and batch norms their momentum, from the calls they made.
    """
    types = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in _classes(nn.Module) if kind.__module__.startswith(OWN)}
    by_name = {kind.__name__: kind for kind in types.values()}
    modules = {path: _stand_in(text, types, by_name) for path, text in ({"": ""} | dict(document.modules)).items()}
    for call in document.calls:
        if call.stack:
            _learn(modules[call.stack[-1][1]], {name: value for name, value, _ in call.arguments})
    return modules


def _classes(base: type[nn.Module]) -> Iterator[type[nn.Module]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _classes(kind)


def _stand_in(text: str, types: dict[str, type[nn.Module]], by_name: dict[str, type[nn.Module]]) -> nn.Module:
    kind = by_name.get(text.removeprefix(PARAMETRIZED)) if text.startswith(PARAMETRIZED) else types.get(text)
    if kind is None:
        word = re.sub(r"\W", "_", brief(text.rpartition(".")[2]).strip("'")) or "Module"
        kind = type(word, (nn.Module,), {})
    module: nn.Module = kind.__new__(kind)
    nn.Module.__init__(module)
    return module


def _learn(module: nn.Module, arguments: dict[str, object]) -> None:
    """What the call says of its layer; a cumulative average (`momentum=None`) is recorded as 0."""
    if isinstance(module, nn.modules.dropout._DropoutNd) and isinstance(arguments.get("p"), float):
        module.p = arguments["p"]  # type: ignore[assignment]
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and isinstance(arguments.get("momentum"), float):
        module.momentum = arguments["momentum"] or None  # type: ignore[assignment]
