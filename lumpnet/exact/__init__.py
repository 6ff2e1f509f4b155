"""The rational room: numbers that are exactly what they say (THEORY section 3)."""

from lumpnet.exact.fingerprint import directions, linear_forms
from lumpnet.exact.integers import Scaled, bits, collapse, integers, multiples, rounded
from lumpnet.exact.numbers import ONE, ZERO, Number, Surd, compare, constant_array, fractions, round_to, sign, square_classes, square_root, surd

__all__ = [
    "ONE",
    "ZERO",
    "Number",
    "Scaled",
    "Surd",
    "bits",
    "collapse",
    "compare",
    "constant_array",
    "directions",
    "fractions",
    "integers",
    "linear_forms",
    "multiples",
    "round_to",
    "rounded",
    "sign",
    "square_classes",
    "square_root",
    "surd",
]
