"""One converter file per operator kind; importing the package registers them all."""

from lumpnet.lift.torch.kinds import (
    activation,
    batch_norm,
    concat,
    conv,
    elementwise,
    elided,
    folded,
    linear,
    mean,
    pad,
    permute,
    pool,
    reshape,
    select,
    softmax,
    upsample,
)

__all__ = [
    "activation",
    "batch_norm",
    "concat",
    "conv",
    "elementwise",
    "elided",
    "folded",
    "linear",
    "mean",
    "pad",
    "permute",
    "pool",
    "reshape",
    "select",
    "softmax",
    "upsample",
]
