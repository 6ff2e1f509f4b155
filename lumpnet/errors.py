"""The situations in which lumpnet stops, one class each.

Every message says where, what was found, what was expected, and what to try:
the four fields are separate so that no error can be built without them.
"""

from __future__ import annotations


class LumpnetError(Exception):
    """Base of every error that a user can meet. `str(error)` is one paragraph."""

    def __init__(self, where: str, found: str, expected: str = "", hint: str = ""):
        self.where, self.found, self.expected, self.hint = where, found, expected, hint
        parts = [f"{where}: {found}."]
        if expected:
            parts.append(f"Expected {expected}.")
        if hint:
            parts.append(f"Try: {hint}.")
        super().__init__(" ".join(parts))


class FileError(LumpnetError):
    """A file cannot be read, is not what its name says, or is hostile."""


class GraphError(LumpnetError):
    """A network graph is not well formed."""


class LiftError(LumpnetError):
    """A model cannot be turned into a network graph without changing it."""


class DomainError(LumpnetError):
    """A domain cannot be read, is empty, or does not fit the network's inputs."""


class CertificateError(LumpnetError):
    """A certificate is not readable under the published schema."""


class RoundingError(LumpnetError):
    """A merged weight has no finite nearest value in the output dtype."""


class NoExactValue(LumpnetError):
    """An operator has no rational value at a rational input (`tanh(1)`)."""


class NoBound(LumpnetError):
    """A value has no certified range, or no certified error, and why."""


class PruneError(LumpnetError):
    """A pruning method is not known, does not take what it is given, or fails."""
