"""The same generators as Hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

from lumpnet.testing.planted import FAMILIES, Planted, planted


def networks(family: str | None = None, operations: int = 5, activation: str | None = None) -> st.SearchStrategy[Planted]:
    """Networks with planted redundancy; `family` None draws one of all families.

    Shrinks towards fewer planted operations and small seeds.
    """
    families = st.sampled_from(sorted(FAMILIES)) if family is None else st.just(family)
    return st.builds(planted, st.integers(0, 2**32 - 1), families, st.integers(0, operations), st.just(activation))
