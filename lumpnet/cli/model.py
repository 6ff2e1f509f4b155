"""The MODEL argument: a file, or code that makes a module, with its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lumpnet.cli.console import fail
from lumpnet.lift.factory import build, is_factory
from lumpnet.lift.files import FOREIGN, NETWORK
from lumpnet.lift.sandbox import begin


@dataclass(frozen=True)
class Given:
    """`weights` and `shapes` belong to code only."""

    model: str
    weights: Path | None = None
    shapes: list[str] = field(default_factory=list)

    def arguments(self) -> tuple[Any, Any]:
        """What the public functions take: a path, or a module and its example inputs. Raises `LumpnetError`."""
        if is_factory(self.model):
            return build(self.model, self.weights, self.shapes)
        if self.weights is not None or self.shapes:
            fail(f"{self.model}: --weights and --input-shape are for code. Expected MODEL as package.module:factory. Try: leave them out for a file.")
        return self.model, None

    def begun(self) -> Given:
        """Itself; a file that a child process reads is being read from now on, while this one loads the rest of lumpnet. Raises `LumpnetError`."""
        if Path(self.model).suffix.lower() in FOREIGN:
            begin(self.model)
        return self

    @property
    def is_network(self) -> bool:
        """Whether the checker reads the file itself, so that nothing need be kept beside the result."""
        return Path(self.model).suffix == NETWORK

    def files(self) -> list[Path]:
        """What is read, and must not be overwritten."""
        return [Path(self.model), *([self.weights] if self.weights else [])]
