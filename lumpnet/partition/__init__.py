"""Partitions and lumpings, refined to a fixpoint; has never heard of a network (THEORY section 3)."""

from lumpnet.partition.demand import Demand, everything, nothing, refine
from lumpnet.partition.lumping import GONE, Lumping, discrete, labels, normal_form

__all__ = ["GONE", "Demand", "Lumping", "discrete", "everything", "labels", "normal_form", "nothing", "refine"]
