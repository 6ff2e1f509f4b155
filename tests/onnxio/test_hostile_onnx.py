"""Files that try more than to describe a network: refused in one paragraph, at once, with nothing executed or allocated."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lumpnet.errors import LumpnetError
from lumpnet.lift.onnx import lift_onnx

Case = Callable[[Path], onnx.ModelProto | bytes | Path]
CASES: dict[str, tuple[Case, str]] = {}


def refused(words: str) -> Callable[[Case], Case]:
    def register(case: Case) -> Case:
        CASES[case.__name__] = (case, words)
        return case

    return register


def model(*nodes: onnx.NodeProto, tensors: list[TensorProto] | None = None, shape: object = ("N", 4), opset: int = 17, out: str = "y") -> onnx.ModelProto:
    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]  # type: ignore[call-overload]
    graph = helper.make_graph(list(nodes), "g", infos, [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)], tensors or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def node(operator: str, *inputs: str, out: str = "y", **attrs: object) -> onnx.NodeProto:
    return helper.make_node(operator, list(inputs), [out], **attrs)


def weighted(tensor: TensorProto) -> onnx.ModelProto:
    return model(node("Gemm", "x", "w"), tensors=[tensor])


def tensor(dims: list[int], kind: int = TensorProto.FLOAT, **fields: object) -> TensorProto:
    return TensorProto(name="w", dims=dims, data_type=kind, **fields)  # type: ignore[arg-type]


def external(location: str, **more: str) -> TensorProto:
    out = tensor([4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        out.external_data.add(key=key, value=value)
    return out


def saved(folder: Path, proto: onnx.ModelProto) -> Path:
    path = folder / "inside" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(proto.SerializeToString())
    (folder / "secret.bin").write_bytes(np.ones(16, np.float32).tobytes())
    return path


@refused("below the model's folder")
def external_absolute(folder: Path) -> Path:
    return saved(folder, weighted(external(str(folder / "secret.bin"))))


@refused("below the model's folder")
def external_parent(folder: Path) -> Path:
    return saved(folder, weighted(external("../secret.bin")))


@refused("below the model's folder")
def external_parent_inside(folder: Path) -> Path:
    return saved(folder, weighted(external("a/../../secret.bin")))


@refused("below the model's folder")
def external_backslash(folder: Path) -> Path:
    return saved(folder, weighted(external("..\\secret.bin")))


@refused("below the model's folder")
def external_null(folder: Path) -> Path:
    return saved(folder, weighted(external("w\0.bin")))


@refused("symbolic link")
def external_link(folder: Path) -> Path:
    path = saved(folder, weighted(external("w.bin")))
    (path.parent / "w.bin").symlink_to(folder / "secret.bin")
    return path


@refused("symbolic link")
def external_linked_folder(folder: Path) -> Path:
    path = saved(folder, weighted(external("up/secret.bin")))
    (path.parent / "up").symlink_to(folder)
    return path


@refused("cannot be read")
def external_missing(folder: Path) -> Path:
    return saved(folder, weighted(external("w.bin")))


@refused("ends before")
def external_short(folder: Path) -> Path:
    path = saved(folder, weighted(external("w.bin", offset="60")))
    (path.parent / "w.bin").write_bytes(b"\0" * 64)
    return path


@refused("no regular file")
def external_folder(folder: Path) -> Path:
    path = saved(folder, weighted(external("w.bin")))
    (path.parent / "w.bin").mkdir()
    return path


@refused("plain digits")
def external_offset(folder: Path) -> Path:
    return saved(folder, weighted(external("w.bin", offset="-4")))


@refused("stored")
def external_length(folder: Path) -> Path:
    return saved(folder, weighted(external("w.bin", length="999999999999")))


@refused("in another file")
def external_without_folder(folder: Path) -> bytes:
    return weighted(external("w.bin")).SerializeToString()


@refused("non-negative sizes")
def negative_dims(folder: Path) -> onnx.ModelProto:
    return weighted(tensor([4, -4]))


@refused("non-negative sizes")
def huge_dims(folder: Path) -> onnx.ModelProto:
    return weighted(tensor([1 << 40, 1 << 22], raw_data=b"\0" * 64))


@refused("non-negative sizes")
def overflowing_dims(folder: Path) -> onnx.ModelProto:
    return weighted(tensor([1 << 32, 1 << 32], raw_data=b""))


@refused("bytes are stored")
def large_dims_without_data(folder: Path) -> onnx.ModelProto:
    return weighted(tensor([1 << 15, 1 << 15], raw_data=b"\0" * 4))


@refused("entries are stored")
def entries_missing(folder: Path) -> onnx.ModelProto:
    return weighted(tensor([4, 4], float_data=[1.0]))


@refused("segments")
def segments(folder: Path) -> onnx.ModelProto:
    return weighted(tensor([1], float_data=[1.0], segment=TensorProto.Segment(begin=0, end=1)))


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.FLOAT8E4M3FN, TensorProto.INT4, TensorProto.UNDEFINED, 99])
def test_element_types_that_are_not_known(kind: int) -> None:
    with pytest.raises(LumpnetError, match="element type"):
        lift_onnx(weighted(tensor([1], kind)).SerializeToString())


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_no_numbers(entry: float) -> None:
    weight = np.eye(4, dtype=np.float32)
    weight[1, 2] = entry
    with pytest.raises(LumpnetError, match="NaN or infinite"):
        lift_onnx(weighted(numpy_helper.from_array(weight, "w")).SerializeToString())


@refused("nothing before it defines")
def a_cycle(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "z", out="y"), node("Relu", "y", out="z"))


@refused("nothing before it defines")
def itself(folder: Path) -> onnx.ModelProto:
    return model(node("Add", "x", "y"))


@refused("given twice")
def one_name_twice(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), node("Tanh", "x"))


@refused("given twice")
def a_tensor_twice(folder: Path) -> onnx.ModelProto:
    return model(node("Gemm", "x", "w"), tensors=[numpy_helper.from_array(np.eye(4, dtype=np.float32) * k, "w") for k in (1, 2)])


@refused("given twice")
def an_output_named_as_the_input(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x", out="x"), out="x")


@refused("domain 'evil'")
def a_foreign_relu(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x", domain="evil"))


@refused("functions of its own")
def a_function(folder: Path) -> onnx.ModelProto:
    out = model(node("F", "x", domain=""))
    body = helper.make_node("F", ["a"], ["b"])
    out.functions.append(helper.make_function("", "F", ["a"], ["b"], [body], [helper.make_opsetid("", 17)]))
    return out


@refused("a graph of its own")
def a_branch(folder: Path) -> onnx.ModelProto:
    then = helper.make_graph([node("Relu", "x", out="t")], "t", [], [helper.make_tensor_value_info("t", 1, None)])
    return model(node("If", "x", then_branch=then, else_branch=then))


@refused("a graph of its own")
def a_loop(folder: Path) -> onnx.ModelProto:
    body = helper.make_graph([], "b", [], [])
    return model(node("Loop", "", "", "x", body=body))


@refused("sparse")
def sparse(folder: Path) -> onnx.ModelProto:
    out = model(node("Relu", "x"))
    out.graph.sparse_initializer.add(values=TensorProto(name="w", dims=[1], data_type=1, float_data=[1.0]), dims=[4])
    return out


@refused("draws random numbers")
def randomness(folder: Path) -> onnx.ModelProto:
    return model(node("RandomNormalLike", "x"))


@refused("drops at random")
def training_dropout(folder: Path) -> onnx.ModelProto:
    yes = [numpy_helper.from_array(np.array(0.5, np.float32), "r"), numpy_helper.from_array(np.array(True), "t")]
    return model(node("Dropout", "x", "r", "t"), tensors=yes)


@refused("training mode")
def training_batch_norm(folder: Path) -> onnx.ModelProto:
    stats = [numpy_helper.from_array(np.ones(4, np.float32), n) for n in "abcd"]
    return model(node("BatchNormalization", "x", *"abcd", training_mode=1), tensors=stats)


@refused("no such operator")
def an_unknown_operator(folder: Path) -> onnx.ModelProto:
    return model(node("Frobnicate", "x"))


@refused("the attribute 'beta'")
def an_unknown_attribute(folder: Path) -> onnx.ModelProto:
    return model(node("LeakyRelu", "x", beta=0.3))


@refused("the attribute 'alpha'")
def an_attribute_of_another_type(folder: Path) -> onnx.ModelProto:
    return model(node("LeakyRelu", "x", alpha=3))


@refused("alpha is nan")
def an_attribute_that_is_no_number(folder: Path) -> onnx.ModelProto:
    return model(node("LeakyRelu", "x", alpha=float("nan")))


@refused("opset 3")
def an_old_opset(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), opset=3)


@refused("opset 999")
def an_opset_to_come(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), opset=999)


@refused("versions of the ONNX operators")
def two_opsets(folder: Path) -> onnx.ModelProto:
    out = model(node("Relu", "x"))
    out.opset_import.append(helper.make_opsetid("ai.onnx", 13))
    return out


@refused("first axis has the size 3")
def a_fixed_batch(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), shape=(3, 4))


@refused("are symbolic")
def a_symbolic_size(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), shape=("N", "H", "W"))


@refused("no shape with a batch")
def no_axes(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), shape=())


@refused("positive sizes")
def a_huge_input(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), shape=("N", 1 << 40))


@refused("positive sizes")
def a_negative_input(folder: Path) -> onnx.ModelProto:
    return model(node("Relu", "x"), shape=("N", -4))


@refused("shape|known")
def a_huge_value(folder: Path) -> onnx.ModelProto:
    return model(node("Tile", "x", "r"), tensors=[numpy_helper.from_array(np.array([1, 1 << 28]), "r")])


@refused("pads|shape|known")
def a_huge_pad(folder: Path) -> onnx.ModelProto:
    return model(node("Pad", "x", "p"), tensors=[numpy_helper.from_array(np.array([0, 1 << 40, 0, 0]), "p")])


@refused("constant")
def a_huge_constant(folder: Path) -> onnx.ModelProto:
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "s")
    return model(node("ConstantOfShape", "s", out="c"), node("MatMul", "x", "c"), tensors=[shape])


@refused("constant")
def a_huge_expansion(folder: Path) -> onnx.ModelProto:
    shape = [numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "s"), numpy_helper.from_array(np.ones((1, 1), np.float32), "w")]
    return model(node("Expand", "w", "s", out="c"), node("MatMul", "x", "c"), tensors=shape)


@refused("constant")
def a_huge_range(folder: Path) -> onnx.ModelProto:
    ends = [numpy_helper.from_array(np.array(v), n) for v, n in ((0, "a"), (1 << 60, "b"), (1, "c"))]
    return model(node("Range", "a", "b", "c", out="r"), node("Reshape", "x", "r"), tensors=ends)


@refused("positive numbers")
def a_stride_of_zero(folder: Path) -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "w")
    return model(node("Conv", "x", "w", strides=[0]), tensors=[weight], shape=("N", 1, 4))


@refused("windows|fit")
def a_kernel_larger_than_its_input(folder: Path) -> onnx.ModelProto:
    return model(node("MaxPool", "x", kernel_shape=[9]), shape=("N", 1, 4))


@refused("depends on no input")
def a_constant_output(folder: Path) -> onnx.ModelProto:
    return model(tensors=[numpy_helper.from_array(np.ones(4, np.float32), "y")])


@refused("batch is on axis 1")
def the_batch_is_moved(folder: Path) -> onnx.ModelProto:
    return model(node("Transpose", "x"))


@refused("reduces over the batch")
def a_mean_over_the_batch(folder: Path) -> onnx.ModelProto:
    return model(node("ReduceMean", "x"))


@refused("not a readable ONNX file|no graph")
def bytes_without_sense(folder: Path) -> bytes:
    return b"\xff" * 4096


@refused("no graph")
def nothing(folder: Path) -> bytes:
    return b""


@refused("not a readable ONNX file")
def a_truncated_file(folder: Path) -> bytes:
    return model(node("Relu", "x")).SerializeToString()[:-3]


@refused("not a regular file")
def a_folder(folder: Path) -> Path:
    return folder


@refused("no such file")
def no_file(folder: Path) -> Path:
    return folder / "none.onnx"


@refused("not a readable ONNX file")
def a_tower_of_types(folder: Path) -> bytes:
    """Optionals of optionals, deeper than any stack."""
    inner = b""
    for _ in range(50000):
        inner = b"\x4a" + _varint(len(inner) + 1 + len(_varint(len(inner)))) + b"\x0a" + _varint(len(inner)) + inner
        if len(inner) > 400000:
            break
    info = b"\x0a\x01x\x12" + _varint(len(inner)) + inner
    graph = b"\x5a" + _varint(len(info)) + info
    return b"\x3a" + _varint(len(graph)) + graph


def _varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_words_at_once_and_small(name: str, tmp_path: Path) -> None:
    case, words = CASES[name]
    made = case(tmp_path)
    source = made.SerializeToString() if isinstance(made, onnx.ModelProto) else made
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(LumpnetError, match=words) as caught:
        lift_onnx(source)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 2
    assert peak < 512 << 20
    assert "\n" not in str(caught.value).strip()
    assert sorted(tmp_path.rglob("*")) == before


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    """The refusals above are about where the data lies, not that it is external."""
    path = saved(tmp_path, weighted(external("data/w.bin", offset="4")))
    (path.parent / "data").mkdir()
    (path.parent / "data" / "w.bin").write_bytes(np.arange(17, dtype=np.float32).tobytes())
    np.testing.assert_array_equal(lift_onnx(path).tensors["w.T"], np.arange(1, 17, dtype=np.float32).reshape(4, 4).T)
