"""SiLU: the same shape as GELU, u g(u) with g(u) + g(-u) = 1."""

from __future__ import annotations

from typing import Any

import sympy

from proofs import enclosure
from proofs.elementwise import any_function
from proofs.lemmas.gelu import ROW, lemmas_of

COVERS = ("silu",)


def silu(u: Any) -> Any:
    return u / (1 + sympy.exp(-u))


LEMMAS = (*any_function("silu", ROW), *lemmas_of("silu", silu, enclosure.silu))
