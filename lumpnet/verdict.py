"""What an examination answers: never a bool.

`Proved` is reached by one path only; an exception, a timeout, a NaN or an
unknown rule is `Unknown`, with the reason (THEORY section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Proved:
    """The claim holds. `claim` is `exact`, ...; `rounding` is `none`, `nearest` or `bounded`."""

    claim: str
    rounding: str
    statements: tuple[str, ...] = ()
    vouched_by: tuple[str, ...] = ()

    exit_code = 0

    def __bool__(self) -> bool:
        raise TypeError("a verdict is not a bool: match on Proved, Refuted or Unknown")


@dataclass(frozen=True)
class Refuted:
    """The claim is false. `what` says which claim: the certificate's, or the equality itself."""

    reason: str
    what: str = "certificate"
    witness: object = field(default=None, compare=False)

    exit_code = 1

    def __bool__(self) -> bool:
        raise TypeError("a verdict is not a bool: match on Proved, Refuted or Unknown")


@dataclass(frozen=True)
class Unknown:
    """Nothing is claimed, and this is why."""

    reason: str

    exit_code = 3

    def __bool__(self) -> bool:
        raise TypeError("a verdict is not a bool: match on Proved, Refuted or Unknown")


Verdict = Proved | Refuted | Unknown


def word(verdict: Verdict) -> str:
    """The verdict's word in reports: the claim that is proved, `refuted` or `unknown`."""
    match verdict:
        case Proved():
            return verdict.claim
        case Refuted():
            return "refuted"
        case Unknown():
            return "unknown"
