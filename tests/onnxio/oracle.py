"""What a model computes, by onnxruntime, or by the ONNX reference where onnxruntime lacks an operator; and what the graph computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from lumpnet.errors import LumpnetError
from lumpnet.evidence.sampling import choices
from lumpnet.ir import Graph
from lumpnet.lift.onnx import lift_onnx
from lumpnet.lower.onnx import model_bytes
from lumpnet.ops.sites import run

onnxruntime.set_default_logger_severity(4)


def evaluated(data: bytes, inputs: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """The outputs; `None` where no runtime takes the model on these inputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, inputs)
    except Exception as error:
        if "NOT_IMPLEMENTED" not in str(error):
            return None
    try:
        return ReferenceEvaluator(onnx.load_from_string(data)).run(None, inputs)
    except Exception:
        return None


def inputs_for(graph: Graph, batch: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Normal numbers; integers that every table knows."""

    def one(shape: tuple[int, ...], dtype: str, most: int | None) -> np.ndarray:
        return rng.normal(size=shape).astype(dtype) if most is None else rng.integers(0, most, size=shape).astype(dtype)

    return {v.name: one((batch, *v.shape[1:]), v.dtype, most) for v, most in zip(graph.inputs, choices(graph), strict=True)}


def disagreement(one: list[np.ndarray], two: list[np.ndarray], tolerance: float = 2e-3) -> str | None:
    """Where two results differ by more than rounding; what is no number is compared as such."""
    for k, (a, b) in enumerate(zip(one, two, strict=True)):
        if a.shape != b.shape:
            return f"output {k}: shapes {a.shape} and {b.shape}"
        a, b = a.astype(np.float64), b.astype(np.float64)
        good = np.isfinite(a) & np.isfinite(b) & (abs(a) < 1e30) & (abs(b) < 1e30)
        if not good.any():
            continue
        scale = max(1.0, float(np.abs(a[good]).max()))
        worst = float(np.abs(a[good] - b[good]).max())
        if worst > tolerance * scale:
            return f"output {k}: off by {worst:.3g} of {scale:.3g}"
    return None


def verdict_on(data: bytes, seed: int) -> str:
    """What becomes of a model: `refused`, `no oracle`, `agrees`, `agrees (opaque)`, or what is wrong.

    The graph, evaluated in double precision, the model written from it, and the graph lifted
    from that must all say what the runtime says of the file, for one example and for several.
    """
    try:
        graph = lift_onnx(data)
    except LumpnetError as error:
        return "refused" if str(error).strip() else "refused without a word"
    rng, batches = np.random.default_rng(seed), [1] if any(" of 1" in n or "to 1;" in n for n in graph.notes) else [1, 3]
    try:
        written = model_bytes(graph)
    except LumpnetError:
        written = None
    if written is not None and (again := lift_onnx(written)) is not None and model_bytes(again) != written:
        return "written and lifted, it is written otherwise"
    opaque, seen = any(n.kind == "opaque" for n in graph.nodes), False
    for batch in batches:
        inputs = inputs_for(graph, batch, rng)
        truth = evaluated(data, inputs)
        if truth is None:
            continue
        seen = True
        if not opaque:
            with np.errstate(all="ignore"):
                values = run(graph, {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in inputs.items()})
            wrong = disagreement(truth, [values[name] for name in graph.outputs])
            if wrong:
                return f"the graph differs at batch {batch}: {wrong}"
        if written is not None:
            result = evaluated(written, inputs)
            if result is None:
                return "no runtime takes what was written"
            wrong = disagreement(truth, result)
            if wrong:
                return f"what was written differs at batch {batch}: {wrong}"
    return "no oracle" if not seen else "agrees (opaque)" if opaque else "agrees"
