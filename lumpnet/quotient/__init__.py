"""From lumpings to the reduced graph and its certificate (THEORY sections 1 and 5)."""

from lumpnet.quotient.build import Quotient, build
from lumpnet.quotient.claim import certificate
from lumpnet.quotient.columns import all_columns
from lumpnet.quotient.plan import Plan, plan

__all__ = ["Plan", "Quotient", "all_columns", "build", "certificate", "plan"]
