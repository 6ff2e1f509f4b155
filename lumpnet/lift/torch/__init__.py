"""PyTorch in: `torch.export`, then one small converter per operator kind."""

from lumpnet.lift.torch.driver import lift_module

__all__ = ["lift_module"]
