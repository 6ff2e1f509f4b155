"""Hostile and damaged files: every one is refused by name, none is read halfway, nothing crashes."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog import CASES
from forge import file_bytes

from lumpnet.check import check_files
from lumpnet.check.files import read_network_file
from lumpnet.errors import CertificateError, FileError, LumpnetError
from lumpnet.ir import save_network
from lumpnet.verdict import Proved, Refuted, Unknown


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(**changes: Any) -> Callable[[bytes], bytes]:
    """Change the header entry of the first tensor."""

    def change(data: bytes) -> bytes:
        header, body = split(data)
        name = next(key for key in sorted(header) if key != "__metadata__" and header[key]["data_offsets"][0] == 0)
        header[name] |= changes
        return join(header, body)

    return change


def graph(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """Change the graph inside the metadata."""

    def apply(data: bytes) -> bytes:
        header, body = split(data)
        text = json.loads(header["__metadata__"]["lumpnet"])
        change(text)
        header["__metadata__"]["lumpnet"] = json.dumps(text)
        return join(header, body)

    return apply


def raw_graph(text: str) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        header, body = split(data)
        header["__metadata__"]["lumpnet"] = text
        return join(header, body)

    return apply


def with_number(value: float) -> Callable[[bytes], bytes]:
    return lambda data: data[:-4] + np.float32(value).tobytes()


def header(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        head, body = split(data)
        change(head)
        return join(head, body)

    return apply


def swap_header(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: join(text, split(data)[1])


HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an empty file": (lambda d: b"", "0 bytes"),
    "a truncated length": (lambda d: d[:5], "5 bytes"),
    "a header longer than the file": (lambda d: struct.pack("<Q", 1 << 62) + d[8:], "a header of"),
    "a header of no length": (lambda d: struct.pack("<Q", 0) + d[8:], "a header of 0 bytes"),
    "a header that is no JSON": (swap_header(b"{x}"), "not JSON"),
    "a header that is a list": (swap_header(b"[1, 2]"), "a header that is no object"),
    "a header in UTF-16": (swap_header("{}".encode("utf-16")), "UTF-8"),
    "a header nested without end": (swap_header(b"[" * 100000), "nested deeper"),
    "a duplicate key": (swap_header(b'{"a": 1, "a": 2}'), "stands twice"),
    "a number without end": (swap_header(b'{"a": ' + b"9" * 5000 + b"}"), "an integer of 5000 characters"),
    "truncated data": (lambda d: d[:-1], "the end of the file"),
    "bytes after the data": (lambda d: d + b"\0", "the end of the file"),
    "a NaN weight": (with_number(np.nan), "NaN or infinite"),
    "an infinite weight": (with_number(-np.inf), "NaN or infinite"),
    "an unknown dtype": (entry(dtype="F8_E4M3"), "dtype"),
    "a dtype that is a list": (entry(dtype=["F32"]), "dtype"),
    "a negative size": (entry(shape=[-8]), "a list of at most"),
    "a size that is true": (entry(shape=[True, 8]), "a list of at most"),
    "sizes that overflow": (entry(shape=[1 << 40, 1 << 40]), "bytes for F32|entries"),
    "sizes that overflow behind a zero": (entry(shape=[1 << 40, 1 << 40, 0], data_offsets=[0, 0]), "entries|begins"),
    "a shape of another size": (entry(shape=[7]), "bytes for F32"),
    "offsets outside the file": (entry(data_offsets=[0, 1 << 50]), "bytes for F32"),
    "offsets that are floats": (entry(data_offsets=[0.0, 32.0]), "\\[begin, end\\]"),
    "offsets that overlap": (entry(data_offsets=[4, 36]), "begins at byte 4|begins at byte"),
    "an extra header key": (entry(extra=1), "an unusual header entry"),
    "metadata that are numbers": (header(lambda h: h["__metadata__"].update(x=1)), "metadata that are not texts"),
    "no graph": (header(lambda h: h.pop("__metadata__")), "weights without a lumpnet graph"),
    "a graph that is no JSON": (raw_graph("{"), "not JSON"),
    "a graph with NaN": (raw_graph('{"format": NaN}'), "the constant NaN"),
    "a graph with an infinite number": (raw_graph('{"format": 1e999}'), "the number 1e999"),
    "a graph of another format": (graph(lambda g: g.update(format=2)), "format 2"),
    "a graph format that is true": (graph(lambda g: g.update(format=True)), "format True"),
    "a graph with an unknown key": (graph(lambda g: g.update(hooks=[])), "an object with the keys"),
    "a graph without outputs": (graph(lambda g: g.pop("outputs")), "an object with the keys"),
    "nodes that are an object": (graph(lambda g: g.update(nodes={})), "a list"),
    "an output that is no value": (graph(lambda g: g.update(outputs=["nothing"])), "'nothing'"),
    "two values of one name": (graph(lambda g: g["nodes"][1].update(name="h")), "two values of this name"),
    "an input defined later": (graph(lambda g: g["nodes"].reverse()), "no earlier node defines"),
    "a name that is empty": (graph(lambda g: g["nodes"][0].update(name="")), "the name ''"),
    "a name that is a number": (graph(lambda g: g["nodes"][0].update(name=5)), "the name 5"),
    "a dtype unheard of": (graph(lambda g: g["nodes"][0].update(dtype="float31")), "dtype 'float31'"),
    "a negative axis size": (graph(lambda g: g["nodes"][0].update(shape=[None, -8])), "non-negative sizes"),
    "a batch in the middle": (graph(lambda g: g["nodes"][0].update(shape=[8, None])), "non-negative sizes"),
    "a size of a trillion": (graph(lambda g: g["nodes"][0].update(shape=[None, 1 << 40])), "non-negative sizes"),
    "a shape that is not computed": (graph(lambda g: g["nodes"][0].update(shape=[None, 9])), "the shape \\(None, 9\\)"),
    "too many inputs": (graph(lambda g: g["nodes"][1].update(inputs=["h", "h"])), "2 inputs"),
    "a tensor that is not stored": (graph(lambda g: g["nodes"][0]["params"].update(weight="w")), "the tensor 'w'"),
    "a role unheard of": (graph(lambda g: g["nodes"][0]["params"].update(extra="h.weight")), "the parameters"),
    "an attribute unheard of": (graph(lambda g: g["nodes"][1].update(attrs={"slope": 1})), "the attributes"),
    "a bias of another size": (graph(lambda g: g["nodes"][0]["params"].update(bias="y.bias")), "a bias of shape"),
    "weights that do not fit": (graph(lambda g: g["nodes"][0]["params"].update(weight="y.weight")), "a weight of shape"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_network_file_is_refused(what: str, tmp_path: Path) -> None:
    change, message = HOSTILE[what]
    paths = CASES["relu"]().write(tmp_path)
    paths[0].write_bytes(change(paths[0].read_bytes()))
    with pytest.raises(FileError, match=message):
        read_and_check(paths)


def read_and_check(paths: tuple[Path, Path, Path]) -> None:
    """Bind the certificate to the damaged file, so that its content is what is judged."""
    import hashlib

    claim = json.loads(paths[2].read_bytes())
    claim["original"]["sha256"] = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    paths[2].write_text(json.dumps(claim))
    check_files(*paths)


def test_attributes_have_their_types(tmp_path: Path) -> None:
    for case, changes in (
        ("conv_padded", [{"stride": [0, 1]}, {"stride": "12"}, {"padding": [-1, 0]}, {"groups": True}, {"dilation": [1.0, 1.0]}, {"stride": [1]}]),
        ("max_pool", [{"ceil_mode": 0}, {"kernel": []}, {"kernel": [1 << 40, 1]}]),
        ("hardtanh_six", [{"min": True}, {"min": "0"}, {"min": 7.0}]),
        ("mean", [{"axes": []}, {"axes": [2, 2]}, {"axes": [0]}, {"axes": [9]}]),
        ("flatten", [{"shape": [-1]}, {"shape": [11]}]),
        ("permute_and_unflatten", [{"dims": [1, 0, 2]}, {"dims": [0, 1, 1]}, {"dims": [0, 1]}]),
        ("concat_units", [{"axis": 0}, {"axis": 5}]),
        ("batch_norm", [{"eps": -4.0}, {"eps": None}]),
    ):
        for change in changes:
            triple = CASES[case]()
            for node in triple.g.nodes.values():
                if set(change) <= set(node.attrs):
                    node.attrs = dict(node.attrs) | change
            with pytest.raises(FileError):
                triple.verdict(tmp_path)


def test_an_operator_without_a_rule_is_unknown(tmp_path: Path) -> None:
    triple = CASES["relu"]()
    triple.g.nodes["v"].kind = "mystery"
    assert isinstance(triple.verdict(tmp_path), Unknown)


def test_values_of_two_float_dtypes_are_unknown(tmp_path: Path) -> None:
    triple = CASES["relu"]()
    triple.g.nodes["v"].dtype = "float64"
    assert isinstance(triple.verdict(tmp_path), Unknown)


def test_weights_of_another_dtype_are_unknown(tmp_path: Path) -> None:
    triple = CASES["relu"]()
    triple.g.nodes["h"].params["bias"] = triple.g.nodes["h"].params["bias"].astype("float64")
    assert isinstance(triple.verdict(tmp_path), Unknown)


def test_a_model_file_is_unknown(tmp_path: Path) -> None:
    verdict = check_files(tmp_path / "model.onnx", tmp_path / "h.safetensors", tmp_path / "c.json")
    assert isinstance(verdict, Unknown)
    assert "lumpnet check" in verdict.reason


def test_another_file_than_the_bound_one_is_refuted(tmp_path: Path) -> None:
    for at in (0, 1):
        paths = CASES["relu"]().write(tmp_path)
        data = bytearray(paths[at].read_bytes())
        data[-1] ^= 1
        paths[at].write_bytes(bytes(data))
        verdict = check_files(*paths)
        assert isinstance(verdict, Refuted)
        assert "SHA-256" in verdict.reason


def test_a_folder_a_pipe_and_nothing_are_refused(tmp_path: Path) -> None:
    paths = CASES["relu"]().write(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for bad in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(FileError):
            check_files(bad, paths[1], paths[2])
        with pytest.raises(CertificateError):
            check_files(paths[0], paths[1], bad)


def test_the_writer_of_the_package_is_read(tmp_path: Path) -> None:
    triple = CASES["relu"]()
    save_network(triple.g.graph(), tmp_path / "g.safetensors")
    file = read_network_file(tmp_path / "g.safetensors")
    assert set(file.tensors) == {"h.weight", "h.bias", "y.weight", "y.bias"}
    np.testing.assert_array_equal(file.tensors["h.weight"].data, triple.g.nodes["h"].params["weight"])


def test_random_damage_never_crashes_and_never_proves(tmp_path: Path) -> None:
    rng = random.Random(3)
    triple = CASES["relu"]()
    originals = [path.read_bytes() for path in triple.write(tmp_path)]
    for _ in range(300):
        paths = triple.write(tmp_path)
        at = rng.randrange(3)
        data = bytearray(originals[at])
        for _ in range(rng.choice([1, 1, 4])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if bytes(data) == originals[at]:
            continue
        paths[at].write_bytes(bytes(data))
        try:
            if at == 0:
                read_and_check(paths)
            verdict = check_files(*paths)
        except LumpnetError:
            continue
        if at != 2:
            assert not isinstance(verdict, Proved) or file_bytes(triple.g) != bytes(data)
        assert not (isinstance(verdict, Unknown) and "the checker stopped" in verdict.reason), verdict
