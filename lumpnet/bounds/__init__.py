"""Certified numbers about a network over a domain: ranges of its values, and how far an execution can be from the real function.

Every number here is outward rounded: it is computed in float64 by the same
theorem about sums (`rounding`) that it is used to claim.
"""

from lumpnet.bounds import kinds as _kinds  # noqa: F401  (fills the registry)
from lumpnet.bounds.deviation import Deviation
from lumpnet.bounds.executed import CLAIM, Executed, apart, executed, execution_dtype
from lumpnet.bounds.moved import Moved, claimed_box, moved
from lumpnet.bounds.outward import Range
from lumpnet.bounds.ranges import ranges

__all__ = ["CLAIM", "Deviation", "Executed", "Moved", "Range", "apart", "claimed_box", "executed", "execution_dtype", "moved", "ranges"]
