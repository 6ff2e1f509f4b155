"""Z3 on pairs of small ReLU networks: does it agree with both ends of the interval? Run as `python -m tests.audit.z3_agrees SEED COUNT`.

Prints one JSON object of numbers of pairs: `agrees` (nothing passes the upper end, something the number below the lower one), `contradicts`, `unknown`.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import lumpnet
from lumpnet import Box
from lumpnet.audit.opinion import second_opinion
from lumpnet.ir import Graph
from lumpnet.verdict import Proved, Refuted
from tests.bounds.cases import RELU, chain, linear


def pair(seed: int, k: int) -> tuple[Graph, Graph, Box]:
    """Two inputs, one or two hidden layers; the other network moved, pruned, rounded or narrower."""
    rng = np.random.default_rng([seed, k])
    widths = [2, *([3] if rng.random() < 0.6 else [2, 2]), 1]
    layers = [(rng.normal(size=(m, n)), rng.normal(size=m)) for n, m in pairwise(widths)]
    match rng.integers(4):
        case 0:
            changed = [(w + 0.1 * rng.normal(size=w.shape), b) for w, b in layers]
        case 1:
            changed = [(w * (np.abs(w) > 0.3), b) for w, b in layers]
        case 2:
            changed = [(np.round(w * 4) / 4, np.round(b * 4) / 4) for w, b in layers]
        case _:
            (w, b), (v, c), *rest = layers
            changed = [(w[1:], b[1:]), (v[:, 1:], c), *rest]
    graphs = []
    for weights in (layers, changed):
        steps: list[Any] = []
        for w, b in weights:
            steps += [linear(w, b), RELU]
        graphs.append(chain([2], *steps[:-1]))
    centre = rng.normal(size=2)
    return graphs[0], graphs[1], Box(centre - rng.choice([0.1, 1.0]), centre + rng.choice([0.1, 1.0]))


def main(seed: int, count: int) -> None:
    torch.set_num_threads(1)
    found: dict[str, list[int]] = {"agrees": [], "contradicts": [], "unknown": []}
    for k in range(count):
        one, two, box = pair(seed, k)
        networks = lumpnet.Network(one), lumpnet.Network(two)
        audit = lumpnet.audit(*networks, domain=box, timeout=1.0, jobs=1, lossless=False)
        opinion = second_opinion(audit, *networks, box, seconds=20)
        confirmed = isinstance(opinion.above, Proved) and (audit.lower_bound == 0 or isinstance(opinion.below, Refuted))
        found["contradicts" if opinion.contradiction else "agrees" if confirmed else "unknown"].append(k)
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
