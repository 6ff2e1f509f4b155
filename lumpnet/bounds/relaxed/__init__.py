"""Certified bounds of differences: a tape of primitives, linear relaxations substituted backwards on batches of boxes (loads torch)."""

from lumpnet.bounds.relaxed.allowance import Allowance
from lumpnet.bounds.relaxed.pair import Match, Units, pair
from lumpnet.bounds.relaxed.program import Evaluation, Program, both, evaluate, upper
from lumpnet.bounds.relaxed.tape import Tape, tape

__all__ = ["Allowance", "Evaluation", "Match", "Program", "Tape", "Units", "both", "evaluate", "pair", "tape", "upper"]
