"""How results show themselves: a few lines, one inert HTML file, a cell of a notebook."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from lumpnet.ir import write_whole


class Shown:
    """A result; `drawn_by` is the module whose `page` says what of it is drawn, loaded when it is."""

    drawn_by: ClassVar[str]

    def summary(self) -> str:
        """A few lines for people."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.summary()

    def save_report(self, path: str | Path, **more: Any) -> None:
        """Write what is claimed as one inert HTML file; more as for the `page` of `drawn_by`. Raises `FileError`."""
        write_whole(path, self._page(**more).html().encode())

    def _repr_html_(self) -> str:
        html: str = self._page().fragment()
        return html

    def _page(self, **more: Any) -> Any:
        return import_module(self.drawn_by).page(self, **more)
