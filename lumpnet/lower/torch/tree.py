"""Modules and tensors at their dotted names."""

from __future__ import annotations

import torch
from torch import nn


class Container(nn.Module):
    """Holds what stands below it and computes nothing."""


class Tree:
    """Builds below `root`. A name that is taken by something else is given another, which the caller is told."""

    def __init__(self, root: nn.Module):
        self.root = root

    def module(self, path: str, module: nn.Module) -> str:
        """Put `module` at `path`; what already stands below moves into it. Returns the path it got."""
        path = self._reachable(path)
        parent, name = self._parent(path)
        held = parent._modules.get(name)
        if held is not None:
            module._modules |= held._modules
            module._parameters |= held._parameters
            module._buffers |= held._buffers
        parent._modules[name] = module
        return path

    def fits(self, path: str) -> bool:
        """Whether a module may stand at `path`: nothing does yet, and no tensor is on the way."""
        here: nn.Module = self.root
        parts = path.split(".")
        for i, part in enumerate(parts):
            if not part:
                return False
            if part not in here._modules:
                return not hasattr(here, part)
            here = here._modules[part]  # type: ignore[assignment]
            if i == len(parts) - 1:
                return type(here) is Container
        return False

    def tensor(self, key: str, tensor: torch.Tensor) -> tuple[str, str]:
        """Register `tensor` at `key`; returns the path of its module and its name there."""
        owner, name = self._parent(key) if self._open(key) else (self.root, key.replace(".", "_"))
        while hasattr(owner, name):
            name += "_"
        if isinstance(tensor, nn.Parameter):
            owner.register_parameter(name, tensor)
        else:
            owner.register_buffer(name, tensor)
        return (key.rpartition(".")[0] if owner is not self.root else "", name)

    def _open(self, key: str) -> bool:
        here: nn.Module = self.root
        for part in key.split(".")[:-1]:
            if part not in here._modules:
                return bool(part) and not hasattr(here, part)
            here = here._modules[part]  # type: ignore[assignment]
        return bool(key.rpartition(".")[2])

    def _reachable(self, path: str) -> str:
        if self.fits(path):
            return path
        flat = path.replace(".", "_") or "step"
        while not self.fits(flat):
            flat += "_"
        return flat

    def _parent(self, path: str) -> tuple[nn.Module, str]:
        *parts, last = path.split(".")
        here = self.root
        for part in parts:
            if part not in here._modules:
                here._modules[part] = Container()
            here = here._modules[part]  # type: ignore[assignment]
        return here, last
