"""The pytest plugin `lumpnet`: a fixture that asserts what `lumpnet.audit` certifies.

    def test_pruned_model_is_faithful(lumpnet_audit):
        lumpnet_audit(model, pruned, domain=Box(0, 1)).assert_within(1e-3)

The audit starts with the assertion, so it knows what to decide and stops there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lumpnet.audit.result import Audit


class Audited:
    """Two models and a domain, not audited yet; takes what `lumpnet.audit` takes."""

    def __init__(self, model: Any, other: Any, **options: Any):
        self.model, self.other, self.options = model, other, options

    def run(self, **asked: Any) -> Audit:
        """The whole `Audit`."""
        import lumpnet

        found: Audit = lumpnet.audit(self.model, self.other, **(self.options | asked))
        return found

    def assert_within(self, epsilon: float) -> Audit:
        """Raises `AssertionError` unless no output is certified to differ by more than epsilon."""
        __tracebackhide__ = True
        found = self.run(epsilon=epsilon)
        found.assert_within(epsilon)
        return found

    def assert_top1_equal(self) -> Audit:
        """Raises `AssertionError` unless the predicted class is certified never to change."""
        __tracebackhide__ = True
        found = self.run(top1=True)
        found.assert_top1_equal()
        return found


@pytest.fixture
def lumpnet_audit() -> type[Audited]:
    """`lumpnet_audit(model, other, domain=...)`: then `.assert_within(epsilon)`, `.assert_top1_equal()` or `.run()`."""
    return Audited
