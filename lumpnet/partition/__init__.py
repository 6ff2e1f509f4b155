"""Partitions and lumpings, refined to a fixpoint; has never heard of a network (THEORY section 3)."""

from lumpnet.partition.demand import Demand, everything, nothing, refine
from lumpnet.partition.lumping import GONE, Lumping, discrete, joint, labels, normal_form, split

__all__ = ["GONE", "Demand", "Lumping", "discrete", "everything", "joint", "labels", "normal_form", "nothing", "refine", "split"]
