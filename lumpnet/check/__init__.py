"""The independent checker: reads three files, searches nothing, trusts only numpy and the standard library."""

from lumpnet.check.run import check_files

__all__ = ["check_files"]
