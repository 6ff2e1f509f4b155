"""Files that nobody should trust: a valid pair of networks and a certificate, and every way to spoil one of them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from lumpnet.certificate import dumps
from lumpnet.ir import Graph, Node, Value, network_bytes
from lumpnet.quotient import plan
from lumpnet.quotient.claim import certificate as claim

Spoil = Callable[[bytes], bytes]
Json = dict[str, Any]


def network() -> Graph:
    """x (None, 3) -> linear (4, with twins and a constant) -> relu -> batch-free head."""
    first = np.array([[1, 2, 3], [2, 4, 6], [0, 0, 0], [1, -1, 0.5]], np.float32)
    tensors = {"a.weight": first, "a.bias": np.array([1, 2, 3, 0], np.float32), "y.weight": np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)}
    nodes = (
        Node(Value("a", (None, 4)), "linear", ("x",), {}, {"weight": "a.weight", "bias": "a.bias"}),
        Node(Value("r", (None, 4)), "leaky_relu", ("a",), {"slope": 0.25}),
        Node(Value("y", (None, 2)), "linear", ("r",), {}, {"weight": "y.weight"}),
    )
    return Graph((Value("x", (None, 3)),), nodes, ("y",), tensors)


def triple() -> tuple[bytes, bytes, bytes]:
    found = plan(network())
    files = network_bytes(network()), network_bytes(found.quotient.graph)
    hashes = hashlib.sha256(files[0]).hexdigest(), hashlib.sha256(files[1]).hexdigest()
    return (*files, dumps(claim(found.outcome, found.kept, hashes, found.quotient.rounding, {"equal": 1}, {})))


def rebound(original: bytes, reduced: bytes, data: bytes) -> bytes:
    """The certificate with the hashes of these files, so that the hash is not what refuses them."""
    root = json.loads(data)
    root["original"], root["reduced"] = ({"sha256": hashlib.sha256(file).hexdigest()} for file in (original, reduced))
    return json.dumps(root).encode()


def split(data: bytes) -> tuple[Json, bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def header(change: Callable[[Json], Any]) -> Spoil:
    def spoil(data: bytes) -> bytes:
        head, body = split(data)
        change(head)
        return join(head, body)

    return spoil


def tensor(name: str = "a.weight", **changes: Any) -> Spoil:
    return header(lambda head: head[name].update(changes))


def graph(change: Callable[[Json], Any]) -> Spoil:
    def apply(head: Json) -> None:
        data = json.loads(head["__metadata__"]["lumpnet"])
        change(data)
        head["__metadata__"]["lumpnet"] = json.dumps(data)

    return header(apply)


def graph_text(change: Callable[[str], str]) -> Spoil:
    return header(lambda head: head["__metadata__"].update(lumpnet=change(head["__metadata__"]["lumpnet"])))


def node(k: int, **changes: Any) -> Spoil:
    return graph(lambda g: g["nodes"][k].update(changes))


def node_entry(k: int, key: str, **changes: Any) -> Spoil:
    return graph(lambda g: g["nodes"][k][key].update(changes))


def number(value: float, at: int = -4) -> Spoil:
    return lambda data: data[: len(data) + at] + np.float32(value).tobytes() + data[len(data) + at + 4 :]


def shifted(head: Json, by: int) -> Json:
    """The header of a file whose tensors begin `by` bytes later."""
    for entry in head.values():
        if "data_offsets" in entry:
            entry["data_offsets"] = [at + by for at in entry["data_offsets"]]
    return head


def window(kind: str, **attrs: Any) -> Spoil:
    """The middle node as a convolution or pool."""
    params = {"weight": "a.weight"} if kind == "conv" else {}
    return node(1, kind=kind, attrs=attrs, params=params)


TWICE = b',"a.bias":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
WRONG: list[Any] = [None, True, -1, 0, 1.5, "", "x", [], {}, [[]], 10**30]
"""One value of every wrong type."""

NETWORK: dict[str, Spoil] = {
    "nothing at all": lambda d: b"",
    "seven bytes": lambda d: d[:7],
    "eight bytes": lambda d: d[:8],
    "a length and no header": lambda d: struct.pack("<Q", 100) + b"{",
    "half a header": lambda d: d[:60],
    "no data": lambda d: d[: 8 + struct.unpack("<Q", d[:8])[0]],
    "a byte too few": lambda d: d[:-1],
    "a byte too many": lambda d: d + b"\0",
    "a header length of zero": lambda d: bytes(8) + d[8:],
    "a header length of one": lambda d: struct.pack("<Q", 1) + d[8:],
    "a header length one too large": lambda d: struct.pack("<Q", struct.unpack("<Q", d[:8])[0] + 1) + d[8:],
    "a header length one too small": lambda d: struct.pack("<Q", struct.unpack("<Q", d[:8])[0] - 1) + d[8:],
    "a header length of 2^63": lambda d: struct.pack("<Q", 1 << 63) + d[8:],
    "a header length of 2^64 - 1": lambda d: b"\xff" * 8 + d[8:],
    "a header of spaces": lambda d: join(b" " * 64, split(d)[1]),
    "a header that is a list": lambda d: join(b"[]", split(d)[1]),
    "a header that is a number": lambda d: join(b"1e999", split(d)[1]),
    "a header in UTF-16": lambda d: join(json.dumps(split(d)[0]).encode("utf-16"), split(d)[1]),
    "a header with a byte that is no UTF-8": lambda d: d.replace(b"a.bias", b"a.\xffias"),
    "a header with a byte order mark": lambda d: join(b"\xef\xbb\xbf" + json.dumps(split(d)[0]).encode(), split(d)[1]),
    "a header of a hundred thousand brackets": lambda d: join(b"[" * 100_000, split(d)[1]),
    "a header of a hundred thousand braces": lambda d: join(b'{"a":' * 100_000, split(d)[1]),
    "a header with one key twice": lambda d: join(json.dumps(split(d)[0]).encode()[:-1] + TWICE, split(d)[1]),
    "an empty header": lambda d: join({}, split(d)[1]),
    "metadata only": lambda d: join({"__metadata__": split(d)[0]["__metadata__"]}, split(d)[1]),
    "no metadata": header(lambda h: h.pop("__metadata__")),
    "metadata that are a list": header(lambda h: h.update(__metadata__=[])),
    "metadata that are a number": header(lambda h: h["__metadata__"].update(lumpnet=5)),
    "an empty graph text": graph_text(lambda t: ""),
    "a graph cut in half": graph_text(lambda t: t[: len(t) // 2]),
    "a graph of null": graph_text(lambda t: "null"),
    "a graph of a list": graph_text(lambda t: "[]"),
    "a graph nested a hundred thousand times": graph_text(lambda t: '{"format":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "a graph with a NaN": graph_text(lambda t: t.replace("0.25", "NaN")),
    "a graph with an infinity": graph_text(lambda t: t.replace("0.25", "-Infinity")),
    "a graph with 1e999": graph_text(lambda t: t.replace("0.25", "1e999")),
    "a graph with an integer of ten thousand digits": graph_text(lambda t: t.replace("0.25", "9" * 10_000)),
    "a graph with a lone surrogate": graph_text(lambda t: t.replace('"r"', '"\\ud800"')),
    "a graph with a key twice": graph_text(lambda t: t.replace('"format":1', '"format":1,"format":1').replace('"format": 1', '"format": 1, "format": 1')),
    "overlapping tensors": header(lambda h: h["a.bias"].update(data_offsets=h["a.weight"]["data_offsets"], shape=[12])),
    "a gap between tensors": lambda d: join(shifted(split(d)[0], 4), bytes(4) + split(d)[1]),
    "offsets backwards": header(lambda h: h["a.weight"]["data_offsets"].reverse()),
    "negative offsets": tensor(data_offsets=[-48, 0]),
    "offsets beyond the file": tensor(data_offsets=[1 << 40, (1 << 40) + 48]),
    "offsets of 10^30": tensor(data_offsets=[10**30, 10**30 + 48]),
    "offsets of three": tensor(data_offsets=[0, 24, 48]),
    "offsets that are texts": tensor(data_offsets=["0", "48"]),
    "a tensor without a dtype": header(lambda h: h["a.weight"].pop("dtype")),
    "an unknown dtype": tensor(dtype="F31"),
    "a dtype in small letters": tensor(dtype="f32"),
    "a dtype that is a number": tensor(dtype=32),
    "a dtype of another width": tensor(dtype="F64"),
    "a shape of another size": tensor(shape=[4, 4]),
    "a negative size": tensor(shape=[-4, -3]),
    "a size of 10^30": tensor(shape=[10**30, 0]),
    "a product of sizes that overflows": tensor(shape=[1 << 32, 1 << 32, 3]),
    "a shape that is a number": tensor(shape=12),
    "a shape of floats": tensor(shape=[4.0, 3.0]),
    "a shape of a thousand axes": tensor(shape=[1] * 1000 + [12]),
    "a NaN weight": number(np.nan),
    "an infinite weight": number(np.inf),
    "a negative infinity in the middle": number(-np.inf, -20),
    "a graph of another format": graph(lambda g: g.update(format=2)),
    "a value of a trillion units": node(0, shape=[None, 10**12]),
    "a value of 10^30 units": node(0, shape=[None, 10**30]),
    "a value with a negative size": node(0, shape=[None, -4]),
    "a value with two batches": node(0, shape=[None, None]),
    "a value without axes": node(0, shape=[]),
    "a shape that its inputs do not give": node(0, shape=[None, 5]),
    "an input of another size": graph(lambda g: g["inputs"][0].update(shape=[None, 4])),
    "a cycle": graph(lambda g: g["nodes"][0].update(inputs=["y"])),
    "a node that reads itself": node(1, inputs=["r"]),
    "a node that reads nothing": node(1, inputs=[]),
    "a node that reads twice": node(1, inputs=["a", "a"]),
    "an output that is no value": graph(lambda g: g.update(outputs=["z"])),
    "outputs that are a text": graph(lambda g: g.update(outputs="y")),
    "two nodes of one name": node(1, name="a"),
    "a tensor that is not there": node_entry(0, "params", weight="z"),
    "a weight of the wrong shape": node_entry(0, "params", weight="y.weight"),
    "a bias of the wrong shape": node_entry(2, "params", bias="a.bias"),
    "no weight": graph(lambda g: g["nodes"][0]["params"].pop("weight")),
    "a role unheard of": node_entry(0, "params", gain="a.bias"),
    "no attributes": node(1, attrs={}),
    "an attribute too many": node_entry(1, "attrs", alpha=1),
    "an attribute that is a text": node_entry(1, "attrs", slope="0.25"),
    "an attribute that is true": node_entry(1, "attrs", slope=True),
    "a dtype unheard of": node(0, dtype="float31"),
    "a convolution with a stride of zero": window("conv", stride=[0], padding=[0], dilation=[1], groups=1),
    "a convolution in zero groups": window("conv", stride=[1], padding=[0], dilation=[1], groups=0),
    "a pool with a window of zero": window("max_pool", kernel=[0], stride=[1], padding=[0], dilation=[1], ceil_mode=False),
    "a reshape into nothing": node(1, kind="reshape", attrs={"shape": [0]}),
    "a reshape of 10^30": node(1, kind="reshape", attrs={"shape": [10**30]}),
    "a permutation that is none": node(1, kind="permute", attrs={"dims": [0, 0]}),
    "a mean over no axis": node(1, kind="mean", attrs={"axes": [], "keepdim": False}),
    "a mean over the batch": node(1, kind="mean", attrs={"axes": [0], "keepdim": False}),
    "a concat on axis 9": node(1, kind="concat", attrs={"axis": 9}),
}
for _key in ("format", "inputs", "nodes", "outputs"):
    NETWORK[f"a graph without {_key}"] = graph(lambda g, key=_key: g.pop(key))
    for _value in WRONG:
        if not (_key == "outputs" and _value == []):  # a network without outputs is a network
            NETWORK[f"{_key} = {str(_value)[:9]!r}"] = graph(lambda g, key=_key, value=_value: g.update({key: value}))
for _key in ("name", "shape", "dtype", "kind", "inputs", "attrs", "params"):
    NETWORK[f"a node without {_key}"] = graph(lambda g, key=_key: g["nodes"][0].pop(key))
    for _value in WRONG:
        if not (_key == "kind" and isinstance(_value, str)) and not (_key == "attrs" and _value == {}):
            NETWORK[f"{_key} of a node = {str(_value)[:9]!r}"] = node(0, **{_key: _value})


def certificate(change: Callable[[Json], Any]) -> Spoil:
    def spoil(data: bytes) -> bytes:
        root = json.loads(data)
        change(root)
        return json.dumps(root).encode()

    return spoil


def lumping(**changes: Any) -> Spoil:
    return certificate(lambda c: c["lumpings"]["a"].update(changes))


def text(change: Callable[[str], str]) -> Spoil:
    return lambda data: change(data.decode()).encode()


CERTIFICATE: dict[str, Spoil] = {
    "nothing at all": lambda d: b"",
    "one byte": lambda d: d[:1],
    "half of it": lambda d: d[: len(d) // 2],
    "all but the end": lambda d: d[:-2],
    "two of them": lambda d: d + d,
    "bytes that are no text": lambda d: bytes(range(128, 256)),
    "UTF-16": lambda d: d.decode().encode("utf-16"),
    "a byte order mark": lambda d: b"\xef\xbb\xbf" + d,
    "a hundred thousand brackets": lambda d: b"[" * 100_000,
    "deep annotations": text(lambda t: t.replace('"annotations":{}', '"annotations":{"a":' + "[" * 100_000 + "]" * 100_000 + "}")),
    "null": lambda d: b"null",
    "a list": lambda d: b"[]",
    "a number": lambda d: b"1e999",
    "an object of nothing": lambda d: b"{}",
    "a key twice": text(lambda t: t.replace('"axis":1', '"axis":1,"axis":1')),
    "NaN": text(lambda t: t.replace('"axis":1', '"axis":NaN')),
    "an axis of 1e999": text(lambda t: t.replace('"axis":1', '"axis":1e999')),
    "an axis of 1.0": text(lambda t: t.replace('"axis":1', '"axis":1.0')),
    "an integer of 10^30": lumping(columns=10**30),
    "an integer of a million digits": text(lambda t: t.replace('"columns":2', '"columns":' + "7" * 1_000_000)),
    "a rational of a million digits": lumping(scale={"1": "7" * 1_000_000}),
    "a rational 1e20000000": lumping(scale={"1": "1e20000000"}),
    "a rational with a denominator of zero": lumping(scale={"1": "1/0"}),
    "a rational not in lowest terms": lumping(scale={"1": "4/2"}),
    "a rational with a denominator of one": lumping(scale={"1": "2/1"}),
    "a rational -0": lumping(offset={"2": "-0"}),
    "a rational with a plus sign": lumping(scale={"1": "+2"}),
    "a rational with spaces": lumping(scale={"1": " 2"}),
    "a rational with an underscore": lumping(scale={"1": "1_0"}),
    "a rational in other digits": lumping(scale={"1": "\u0662"}),
    "a rational that is a decimal": lumping(scale={"1": "2.0"}),
    "a rational that is a number": lumping(scale={"1": 2}),
    "a rational with a newline": lumping(scale={"1": "2\n"}),
    "an irrational of two parts": lumping(offset={"2": ["1", "2"]}),
    "an irrational of a negative root": lumping(offset={"2": ["1", "1", "-2"]}),
    "an irrational without a root": lumping(offset={"2": ["1", "0", "2"]}),
    "an irrational of numbers": lumping(offset={"2": [1, 1, 2]}),
    "a unit -1": lumping(scale={"-1": "2"}),
    "a unit 01": lumping(scale={"01": "2"}),
    "a unit of 10^30": lumping(scale={str(10**30): "2"}),
    "a class of -2": lumping(**{"class": [0, 0, -2, 1]}),
    "a class of 1.0": lumping(**{"class": [0, 0, -1, 1.0]}),
    "a class that is true": lumping(**{"class": [0, 0, -1, True]}),
    "classes that are a text": lumping(**{"class": "0011"}),
    "an axis of 0": lumping(axis=0),
    "an axis of -1": lumping(axis=-1),
    "a lumping in unknown words": certificate(lambda c: c["lumpings"].update(a="identical")),
    "a lumping that is null": certificate(lambda c: c["lumpings"].update(a=None)),
    "an unknown verdict": certificate(lambda c: c["claim"].update(verdict="bounded")),
    "an unknown rounding": certificate(lambda c: c["claim"].update(rounding="up")),
    "a hash of 63 digits": certificate(lambda c: c["original"].update(sha256="0" * 63)),
    "a hash in capitals": certificate(lambda c: c["original"].update(sha256="A" * 64)),
    "a hash of other digits": certificate(lambda c: c["original"].update(sha256="\u0660" * 64)),
    "another format": certificate(lambda c: c.update(format="lumpnet")),
    "a version that is a number": certificate(lambda c: c.update(schema_version=1.0)),
    "a version in words": certificate(lambda c: c.update(schema_version="latest")),
    "an extra key": certificate(lambda c: c.update(extra=1)),
    "rules that are floats": certificate(lambda c: c.update(rules={"equal": 1.5})),
}
for _key in ("schema_version", "original", "reduced", "claim", "lumpings", "rules", "annotations", "format"):
    CERTIFICATE[f"without {_key}"] = certificate(lambda c, key=_key: c.pop(key))
    for _value in WRONG:
        if not (_value == {} and _key in ("rules", "annotations", "lumpings")):
            CERTIFICATE[f"{_key} = {str(_value)[:9]!r}"] = certificate(lambda c, key=_key, value=_value: c.update({key: value}))
for _key in ("axis", "columns", "class", "representative", "scale", "offset"):
    CERTIFICATE[f"a lumping without {_key}"] = certificate(lambda c, key=_key: c["lumpings"]["a"].pop(key))
    for _value in WRONG:
        readable = {"class": [], "representative": [], "scale": {}, "offset": {}, "columns": 0}
        if _value != readable.get(_key, "unreadable"):
            CERTIFICATE[f"{_key} of a lumping = {str(_value)[:9]!r}"] = lumping(**{_key: _value})
