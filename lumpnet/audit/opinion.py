"""What Z3 says of an audit of two tiny networks: nothing passes the upper end of its interval, something passes a number just below the lower one.

Z3 reads both network files in words of its own (`evidence`), in a child process with limited memory and time. It shares nothing
with the bounds but the operators' meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumpnet.audit.result import Audit
from lumpnet.domain import Domain
from lumpnet.evidence.smt import within
from lumpnet.executing import common
from lumpnet.network import Network
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict

MARGIN = 1e-9
"""Relative: Z3 is asked for that much more than the upper end, and that much less than the lower one."""


@dataclass(frozen=True)
class Opinion:
    """`above`: whether no input passes the upper end; `below`: whether none passes the lower end. An audit is confirmed by `Proved` and `Refuted`."""

    above: Verdict
    below: Verdict

    @property
    def contradiction(self) -> str:
        """What Z3 contradicts; empty where it agrees or has no answer."""
        if isinstance(self.above, Refuted):
            return f"the upper bound is passed: {self.above.reason}"
        if isinstance(self.below, Proved):
            return "no input attains the lower bound"
        return ""


def second_opinion(found: Audit, model: Network, other: Network, domain: Domain, seconds: float = 60, memory_mb: int = 2048) -> Opinion:
    """Z3's opinion of `found`, the audit of these networks on the domain. Nothing is raised for what Z3 cannot do; then a verdict is `Unknown`."""
    asked = {}
    if found.upper_bound is not None:
        asked["above"] = found.upper_bound * (1 + MARGIN)
    if found.lower_bound > 0:
        asked["below"] = found.lower_bound * (1 - MARGIN)
    answers = within(model.data, other.data, common(domain, model.graph, other.graph), list(asked.values()), seconds, memory_mb) if asked else []
    opinions = dict(zip(asked, answers, strict=True))
    nothing = Unknown("nothing is claimed")
    return Opinion(opinions.get("above", nothing), opinions.get("below", nothing))


__all__ = ["Opinion", "second_opinion"]
