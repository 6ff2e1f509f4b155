"""ONNX out: operator by operator, nothing folded; the same graph always gives the same bytes."""

from lumpnet.lower.onnx.model import model_bytes, model_of, save_onnx

__all__ = ["model_bytes", "model_of", "save_onnx"]
