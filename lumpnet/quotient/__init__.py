"""From lumpings to the reduced graph and its certificate (THEORY sections 1 and 5)."""

from lumpnet.quotient.build import Quotient, build
from lumpnet.quotient.claim import certificate
from lumpnet.quotient.columns import all_columns

__all__ = ["Quotient", "all_columns", "build", "certificate"]
