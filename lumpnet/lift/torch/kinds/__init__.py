"""One converter file per operator kind; importing the package registers them all."""

from lumpnet.lift.torch.kinds import (
    activation,
    batch_norm,
    concat,
    constant,
    conv,
    elementwise,
    elided,
    folded,
    linear,
    mean,
    permute,
    pool,
    reshape,
    select,
    softmax,
)

__all__ = [
    "activation",
    "batch_norm",
    "concat",
    "constant",
    "conv",
    "elementwise",
    "elided",
    "folded",
    "linear",
    "mean",
    "permute",
    "pool",
    "reshape",
    "select",
    "softmax",
]
