"""How long a bound may take. Where time is up, values keep what intervals say of them: as sound, and wider."""

from __future__ import annotations

import math
import time

from lumpnet.errors import NoBound

REFINING = 0.8
"""The part of the time that refinements may take; the rest is for intervals of what follows, and for the outputs."""
GRACE = 2.0
"""Seconds beyond the deadline in which intervals may still arrive: without them there is no bound at all."""


class Allowance:
    """Until `deadline`, as `time.monotonic()` tells. Without one no clock is read, and nothing depends on time.

    `left`: rows that were to be substituted, and for which there was no time.
    """

    def __init__(self, deadline: float = math.inf):
        self.deadline, self.left = deadline, 0
        self.endless = deadline == math.inf
        now = 0.0 if self.endless else time.monotonic()
        self.refining = now + REFINING * max(0.0, deadline - now)
        self.end = max(deadline, now) + GRACE

    @property
    def late(self) -> bool:
        """Whether the time of refinements is over."""
        return not self.endless and time.monotonic() >= self.refining

    @property
    def over(self) -> bool:
        return not self.endless and time.monotonic() >= self.deadline

    def check(self) -> None:
        """Raises `NoBound` where not even intervals arrive in time."""
        if not self.endless and time.monotonic() >= self.end:
            raise NoBound("bounds", "time was up before intervals had gone through both networks", "more time", "a larger timeout")
