"""attention: products, a softmax and a product, head by head."""

from __future__ import annotations

import numpy as np

from lumpnet.lower.onnx.writing import Step, writes

MOST_SCORES = 1 << 24


@writes("attention")
def attention(step: Step) -> None:
    """`softmax(scale q k^T + mask) v`; a key/value head that several query heads read is repeated."""
    heads, kv = step.attrs["heads"], step.attrs["kv_heads"]
    length, sources = int(step.inputs[0].shape[1] or 0), int(step.inputs[1].shape[1] or 0)
    q, k, v = (_by_head(step, i, n) for i, n in enumerate((heads, kv, kv)))
    if heads != kv:
        repeated = step.ints("repeated", [head // (heads // kv) for head in range(heads)])
        k, v = (step.op("Gather", [x, repeated], axis=1) for x in (k, v))
    scores = step.op("MatMul", [q, step.op("Transpose", [k], perm=[0, 1, 3, 2])])
    scores = step.op("Mul", [scores, step.const("scale", step.attrs["scale"])])
    if step.attrs["causal"]:
        if length * sources > MOST_SCORES:
            step.refuse(f"a causal mask of {length} x {sources}")
        mask = step.const("mask", np.tri(length, sources), np.bool_)
        scores = step.op("Where", [mask, scores, step.const("never", -np.inf)])
    out = step.op("MatMul", [step.op("Softmax", [scores], axis=-1), v])
    joined = step.ints("joined", [0, 0, int(step.node.shape[2] or 0)])
    step.last("Reshape", [step.op("Transpose", [out], perm=[0, 2, 1, 3]), joined])


def _by_head(step: Step, k: int, heads: int) -> str:
    """(batch, T, heads * d) as (batch, heads, T, d)."""
    width = int(step.inputs[k].shape[2] or 0) // heads
    split = step.op("Reshape", [step.x(k), step.ints(f"heads{k}", [0, 0, heads, width])])
    return step.op("Transpose", [split], perm=[0, 2, 1, 3])
