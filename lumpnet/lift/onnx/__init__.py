"""ONNX in: the file's operators, one small converter per family. Nothing in the file is executed."""

from lumpnet.lift.onnx.driver import lift_onnx

__all__ = ["lift_onnx"]
