"""How an obligation fails: `Refusal` becomes Refuted, `Unsure` becomes Unknown."""

from __future__ import annotations


class Refusal(Exception):
    """A condition of the certificate does not hold."""

    def __init__(self, where: str, found: str, expected: str):
        super().__init__(f"{where}: {found}. Expected {expected}.")


class Unsure(Exception):
    """The checker has no rule that decides this; nothing is claimed."""

    def __init__(self, where: str, reason: str):
        super().__init__(f"{where}: {reason}.")
