"""The rational room: numbers that are exactly what they say (THEORY section 3)."""

from lumpnet.exact.fingerprint import directions, linear_forms
from lumpnet.exact.integers import Collapsed, Merge, Scaled, bits, integers, multiples
from lumpnet.exact.large import selected
from lumpnet.exact.numbers import ONE, ZERO, Number, SquareClasses, Surd, compare, constant_array, fractions, roots, round_to, sign, square_root, surd

__all__ = [
    "ONE",
    "ZERO",
    "Collapsed",
    "Merge",
    "Number",
    "Scaled",
    "SquareClasses",
    "Surd",
    "bits",
    "compare",
    "constant_array",
    "directions",
    "fractions",
    "integers",
    "linear_forms",
    "multiples",
    "roots",
    "selected",
    "round_to",
    "sign",
    "square_root",
    "surd",
]
