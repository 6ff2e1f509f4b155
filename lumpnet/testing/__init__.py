"""Networks to test with, for lumpnet's own tests and for users' (floor 6).

`planted(seed, family)` gives a network with known redundancy and the widths
that an exact reduction should reach; `as_trained(seed, family)` one with random
weights and none; `networks()` is the Hypothesis strategy over the former::

    from hypothesis import given
    from lumpnet.testing import networks

    @given(networks("resnet"))
    def test_my_pipeline(case):
        assert my_reduce(case.graph).widths <= case.minimum
"""

from lumpnet.testing.bases import ACTIVATIONS, FAMILIES
from lumpnet.testing.planted import Planted, as_trained, planted
from lumpnet.testing.strategies import networks

__all__ = ["ACTIVATIONS", "FAMILIES", "Planted", "as_trained", "networks", "planted"]
