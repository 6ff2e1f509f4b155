"""Saved programs that nobody should trust: a valid one, written without torch, and every way to spoil it."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Json = dict[str, Any]
Members = dict[str, bytes]
Spoil = Callable[[Members], Members]

CANARY = "canary"
"""A file that appears in the working folder if anything in a file is executed."""
TOUCH = f"__import__('os').system('touch {CANARY}')"
WEIGHTS, CONSTANTS, MODEL = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json", "models/model.json"


class Bomb:
    """Unpickled, it leaves the canary."""

    def __reduce__(self) -> Any:
        import os

        return os.system, (f"touch {CANARY}",)


def tensor(sizes: list[Any], strides: list[int] | None = None, **changes: Any) -> Json:
    steps = [int(np.prod([s for s in sizes[i + 1 :] if isinstance(s, int)])) for i in range(len(sizes))] if strides is None else strides
    written = [{"as_int": s} if not isinstance(s, str) else {"as_expr": {"expr_str": s, "hint": {"as_int": 2}}} for s in sizes]
    where = {"device": {"type": "cpu", "index": None}, "storage_offset": {"as_int": 0}, "layout": 7}
    return {"dtype": 7, "sizes": written, "strides": [{"as_int": s} for s in steps], "requires_grad": False} | where | changes


def named(name: str) -> Json:
    return {"as_tensor": {"name": name}}


def call(target: str, result: str, path: str, kind: str, **arguments: Any) -> Json:
    given = [{"name": name, "arg": value, "kind": 1} for name, value in arguments.items()]
    stack = f"L__self__,,torch.nn.modules.container.Sequential;L__self__{path},{path},{kind}"
    return {"target": target, "inputs": given, "outputs": [named(result)], "metadata": {"nn_module_stack": stack}, "name": result}


SYMBOL = "Symbol('s77', positive=True, integer=True)"
LINEAR, RELU = "torch.nn.modules.linear.Linear", "torch.nn.modules.activation.ReLU"


def program() -> Json:
    """x (batch, 3) -> linear (4) -> relu -> linear (2)."""
    stored = {"p_w": "0.weight", "p_b": "0.bias", "p_v": "2.weight"}
    specs: list[Json] = [{"parameter": {"arg": {"name": name}, "parameter_name": target}} for name, target in stored.items()]
    leaf = {"type": None, "context": None, "children_spec": []}
    graph = {
        "inputs": [named(name) for name in (*stored, "x")],
        "outputs": [named("y")],
        "nodes": [
            call("torch.ops.aten.linear.default", "a", "0", LINEAR, input=named("x"), weight=named("p_w"), bias=named("p_b")),
            call("torch.ops.aten.relu.default", "r", "1", RELU, self=named("a")),
            call("torch.ops.aten.linear.default", "y", "2", LINEAR, input=named("r"), weight=named("p_v")),
        ],
        "tensor_values": {"x": tensor([SYMBOL, 3]), "p_w": tensor([4, 3]), "p_b": tensor([4]), "p_v": tensor([2, 4])},
        "sym_int_values": {},
        "sym_bool_values": {},
    }
    signature = {"inputs": [], "outputs": [], "in_spec": "[1, null]", "out_spec": json.dumps([1, leaf]), "forward_arg_names": ["x"]}
    return {
        "graph_module": {
            "graph": graph,
            "signature": {"input_specs": [*specs, {"user_input": {"arg": named("x")}}], "output_specs": [{"user_output": {"arg": named("y")}}]},
            "module_call_graph": [{"fqn": "", "signature": signature}, *({"fqn": str(i), "signature": None} for i in range(3))],
        },
        "opset_version": {"aten": 10},
        "range_constraints": {"s77": {"min_val": 0, "max_val": None}},
        "schema_version": {"major": 8, "minor": 20},
        "torch_version": "2.13.0",
        "guards_code": [],
    }


def stored(record: str, sizes: list[int], **changes: Any) -> Json:
    return {"path_name": record, "is_param": True, "use_pickle": False, "tensor_meta": tensor(sizes)} | changes


def valid() -> Members:
    weights = {"0.weight": np.arange(12), "0.bias": np.arange(4), "2.weight": np.arange(8)}
    config = {name: stored(f"weight_{i}", size) for i, (name, size) in enumerate({"0.weight": [4, 3], "0.bias": [4], "2.weight": [2, 4]}.items())}
    records = {f"data/weights/weight_{i}": w.astype("<f4").tobytes() for i, w in enumerate(weights.values())}
    plain = {WEIGHTS: {"config": config}, CONSTANTS: {"config": {}}, MODEL: program()}
    rest = {"data/sample_inputs/model.pt": pickle.dumps(Bomb()), "archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
    return records | {name: json.dumps(data).encode() for name, data in plain.items()} | rest


def pack(members: Members, root: str = "model", method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{root}/{name}" if root else name, data)
    return out.getvalue()


def text(member: str, change: Callable[[Any], Any]) -> Spoil:
    """The JSON of a member changed in place, or replaced by what `change` returns."""

    def spoil(members: Members) -> Members:
        data = json.loads(members[member])
        data = change(data) or data
        return members | {member: json.dumps(data).encode()}

    return spoil


def model(change: Callable[[Json], Any]) -> Spoil:
    return text(MODEL, change)


def graph(change: Callable[[Json], Any]) -> Spoil:
    return model(lambda m: change(m["graph_module"]["graph"]) and None)


def signature(change: Callable[[Json], Any]) -> Spoil:
    return model(lambda m: change(m["graph_module"]["signature"]) and None)


def node(k: int, **changes: Any) -> Spoil:
    return graph(lambda g: g["nodes"][k].update(changes))


def argument(k: int, i: int, arg: Any) -> Spoil:
    return graph(lambda g: g["nodes"][k]["inputs"][i].update(arg=arg))


def more(k: int, name: str, arg: Any) -> Spoil:
    return graph(lambda g: g["nodes"][k]["inputs"].append({"name": name, "arg": arg, "kind": 1}))


def size_of_x(axis: int, size: Any) -> Spoil:
    return graph(lambda g: g["tensor_values"]["x"]["sizes"].__setitem__(axis, size))


def weight(**changes: Any) -> Spoil:
    return text(WEIGHTS, lambda c: c["config"]["0.weight"].update(changes))


def meta(**changes: Any) -> Spoil:
    return text(WEIGHTS, lambda c: c["config"]["0.weight"]["tensor_meta"].update(changes))


def without(name: str) -> Spoil:
    return lambda members: {n: data for n, data in members.items() if n != name}


def member(name: str, data: bytes) -> Spoil:
    return lambda members: members | {name: data}


def middle(target: str, result: Any = None, **arguments: Any) -> Spoil:
    """The relu as another call on the value before it."""
    return node(1, target=target, inputs=[{"name": n, "arg": a, "kind": 1} for n, a in arguments.items()], outputs=result or [named("r")])


def pieces(target: str, **arguments: Any) -> Spoil:
    """x, of 2^40 features, cut."""

    def spoil(members: Members) -> Members:
        return middle(target, [{"as_tensors": [{"name": "r"}]}], self=named("x"), **arguments)(size_of_x(1, {"as_int": 1 << 40})(members))

    return spoil


def chain(step: Callable[[str], Json], count: int) -> Spoil:
    """Numbers computed from the batch size, each from the one before."""

    def change(g: Json) -> None:
        size = {
            "target": "torch.ops.aten.sym_size.int",
            "inputs": [{"name": "self", "arg": named("x"), "kind": 1}, {"name": "dim", "arg": {"as_int": 0}, "kind": 1}],
        }
        nodes = [size | {"outputs": [{"as_sym_int": {"as_name": "n0"}}], "metadata": {}}]
        for i in range(count):
            pair = [{"name": "a", "arg": step(f"n{i}"), "kind": 1}, {"name": "b", "arg": step(f"n{max(0, i - 1)}"), "kind": 1}]
            target = "_operator.mul" if i % 2 else "_operator.add"
            nodes.append({"target": target, "inputs": pair, "outputs": [{"as_sym_int": {"as_name": f"n{i + 1}"}}], "metadata": {}})
        g["nodes"] = nodes + g["nodes"]

    return graph(change)


def sym(name: str) -> Json:
    return {"as_sym_int": {"as_name": name}}


NAN = np.array([np.nan], "<f4").tobytes()
SPOILED: dict[str, Spoil] = {
    # pickles, code and texts that torch would evaluate
    "pickled weights": weight(use_pickle=True),
    "pickled weights of a legacy layout": member("data/weights/model.pt", pickle.dumps(Bomb())),
    "pickled constants of a legacy layout": member("data/constants/model.pt", pickle.dumps(Bomb())),
    "a custom object": text(
        CONSTANTS, lambda c: c["config"].update(o={"path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None})
    ),
    "a target in os": middle("os.system", self={"as_string": f"touch {CANARY}"}),
    "a target in posix": middle("posix.system", self={"as_string": f"touch {CANARY}"}),
    "a target in builtins": middle("builtins.eval", self={"as_string": TOUCH}),
    "a target in operator that calls": middle("_operator.methodcaller", self={"as_string": "system"}),
    "a target with dots": middle("torch.ops.aten.relu.default.__globals__", self=named("a")),
    "a dunder target": middle("torch.ops.aten.__class__.default", self=named("a")),
    "a target that opens files": middle("torch.ops.aten.from_file.default", filename={"as_string": CANARY}, shared={"as_bool": True}, size={"as_int": 4}),
    "a target that draws": middle("torch.ops.aten.rand_like.default", self=named("a")),
    "a target of another library": middle("torch.ops.torchvision.nms.default", self=named("a")),
    "an operator unheard of": middle("torch.ops.aten.flash.default", self=named("a")),
    "an overload unheard of": middle("torch.ops.aten.relu.os_system", self=named("a")),
    "control flow": middle("torch.ops.higher_order.cond", self={"as_graph": {"name": "g", "graph": {}}}),
    "an operator as an argument": argument(1, 0, {"as_operator": "os.system"}),
    "a size that is code": size_of_x(0, {"as_expr": {"expr_str": TOUCH, "hint": {"as_int": 2}}}),
    "a size that calls": size_of_x(0, {"as_expr": {"expr_str": f"Symbol('s77', **{{'positive': {TOUCH}}})"}}),
    "a size of endless powers": size_of_x(0, {"as_expr": {"expr_str": "9**9**9**9"}}),
    "a size that is an expression": size_of_x(0, {"as_expr": {"expr_str": f"Mul(Integer(2), {SYMBOL})"}}),
    "an output structure that is code": model(lambda m: m["graph_module"]["module_call_graph"][0]["signature"].update(out_spec=TOUCH)),
    "an output structure of a class": model(
        lambda m: m["graph_module"]["module_call_graph"][0]["signature"].update(out_spec='[1, {"type": "os.system", "context": "touch", "children_spec": []}]')
    ),
    # the program
    "a fixed batch": size_of_x(0, {"as_int": 2}),
    "a fixed batch of one": size_of_x(0, {"as_int": 1}),
    "a dynamic feature": size_of_x(1, {"as_expr": {"expr_str": SYMBOL}}),
    "a negative size": size_of_x(1, {"as_int": -3}),
    "a size of 10^30": size_of_x(1, {"as_int": 10**30}),
    "a size of 2^40 and no such weight": size_of_x(1, {"as_int": 1 << 40}),
    "a size that is true": size_of_x(1, {"as_int": True}),
    "a thousand axes": graph(lambda g: g["tensor_values"]["x"].update(sizes=[{"as_int": 1}] * 1000)),
    "another size than the weight's": size_of_x(1, {"as_int": 5}),
    "an unknown dtype": graph(lambda g: g["tensor_values"]["x"].update(dtype=99)),
    "no description of the input": graph(lambda g: g["tensor_values"].pop("x")),
    "a cycle": argument(0, 0, named("y")),
    "a call that reads itself": argument(1, 0, named("r")),
    "a result named twice": node(1, outputs=[named("a")]),
    "a result named like an input": node(1, outputs=[named("x")]),
    "an input twice": graph(lambda g: g["inputs"].append(named("x"))),
    "an output that is computed nowhere": signature(lambda s: s.update(output_specs=[{"user_output": {"arg": named("z")}}])),
    "no outputs": signature(lambda s: s.update(output_specs=[])),
    "an output that is a buffer": signature(lambda s: s.update(output_specs=[{"buffer_mutation": {"arg": {"name": "y"}, "buffer_name": "n"}}])),
    "an input of a custom class": signature(lambda s: s["input_specs"].append({"custom_obj": {"arg": {"name": "o", "class_fqn": "os.system"}}})),
    "no inputs": signature(lambda s: s.update(input_specs=[])),
    "an input that is a text": signature(lambda s: s["input_specs"][3].update(user_input={"arg": {"as_string": TOUCH}})),
    "a parameter that is not stored": signature(lambda s: s["input_specs"][0]["parameter"].update(parameter_name="nowhere")),
    "calls that are a text": graph(lambda g: g.update(nodes=TOUCH)),
    "a call without a target": graph(lambda g: g["nodes"][1].pop("target")),
    "a call whose target is a number": node(1, target=7),
    "a call without arguments": node(1, inputs=[]),
    "an argument too many": more(1, "other", named("x")),
    "an argument of the wrong kind": argument(1, 0, {"as_string": "relu"}),
    "an argument of two kinds": argument(1, 0, {"as_int": 1, "as_float": 1.0}),
    "an integer of 10^30": middle("torch.ops.aten.transpose.int", self=named("a"), dim0={"as_int": 10**30}, dim1={"as_int": 1}),
    "an axis out of range": middle("torch.ops.aten.transpose.int", self=named("a"), dim0={"as_int": 7}, dim1={"as_int": 1}),
    "a view of the wrong size": middle("torch.ops.aten.view.default", self=named("a"), size={"as_ints": [3, 5]}),
    "a view that fixes the batch": middle("torch.ops.aten.view.default", self=named("a"), size={"as_ints": [8191, 4]}),
    "a view of halves of the batch": middle("torch.ops.aten.view.default", self=named("a"), size={"as_ints": [-1, 8]}),
    "a mean over the batch": middle("torch.ops.aten.mean.dim", self=named("a"), dim={"as_ints": [0]}),
    "an unbinding of 2^40 pieces": pieces("torch.ops.aten.unbind.int", dim={"as_int": 1}),
    "a split into 2^40 pieces": pieces("torch.ops.aten.split.Tensor", split_size={"as_int": 1}, dim={"as_int": 1}),
    "2^40 chunks": pieces("torch.ops.aten.chunk.default", chunks={"as_int": 1 << 40}, dim={"as_int": 1}),
    "2^40 sections": pieces("torch.ops.aten.tensor_split.sections", sections={"as_int": 1 << 40}, dim={"as_int": 1}),
    "a sequence of 2^40 steps": lambda m: middle(
        "torch.ops.aten.gru.input",
        input=named("x"), hx=named("x"), params={"as_tensors": []}, has_biases={"as_bool": False}, num_layers={"as_int": 1}, dropout={"as_float": 0.0},
        train={"as_bool": False}, bidirectional={"as_bool": False}, batch_first={"as_bool": True},
    )(graph(lambda g: g["tensor_values"]["x"]["sizes"].insert(1, {"as_int": 1 << 40}))(m)),
    "zeros of 2^40": middle("torch.ops.aten.zeros.default", size={"as_ints": [1 << 40]}),
    "sizes that double in length": chain(sym, 200),
    "a size of the batch to the power of the batch": middle("_operator.pow", self=sym("n0")),
    # the weights
    "a NaN weight": lambda m: m | {"data/weights/weight_0": NAN + m["data/weights/weight_0"][4:]},
    "an infinite weight": lambda m: m | {"data/weights/weight_2": m["data/weights/weight_2"][:-4] + np.float32(np.inf).tobytes()},
    "a record too short": lambda m: m | {"data/weights/weight_0": m["data/weights/weight_0"][:-1]},
    "a record of nothing": member("data/weights/weight_0", b""),
    "a record that is not there": without("data/weights/weight_0"),
    "a record outside its folder": weight(path_name="../../../../etc/passwd"),
    "a record with an absolute path": weight(path_name="/etc/passwd"),
    "a weight of 2^80 elements": meta(sizes=[{"as_int": 1 << 40}, {"as_int": 1 << 40}]),
    "a weight repeated by strides of zero": meta(sizes=[{"as_int": 1 << 20}, {"as_int": 1 << 20}], strides=[{"as_int": 0}, {"as_int": 0}]),
    "a weight with a stride beyond its record": meta(strides=[{"as_int": 1 << 39}, {"as_int": 1}]),
    "a weight with a negative stride": meta(strides=[{"as_int": -3}, {"as_int": 1}]),
    "a weight with an offset beyond its record": meta(storage_offset={"as_int": 1}),
    "a weight with a symbolic size": meta(sizes=[{"as_expr": {"expr_str": TOUCH}}, {"as_int": 3}]),
    "a weight of an unknown dtype": meta(dtype=99),
    "a sparse weight": meta(layout=1),
    "a weight of another shape": meta(sizes=[{"as_int": 3}, {"as_int": 4}], strides=[{"as_int": 4}, {"as_int": 1}]),
    "a weight without a description": weight(tensor_meta=None),
    "big-endian weights": member("byteorder", b"big"),
    # the JSON and the members
    "no program": without(MODEL),
    "two programs": lambda m: m | {"models/other.json": m[MODEL]},
    "no weights": without(WEIGHTS),
    "no format": without("archive_format"),
    "another format": member("archive_format", b"jit"),
    "the layout of older versions": lambda m: {
        "serialized_exported_program.json": m[MODEL],
        "serialized_state_dict.pt": pickle.dumps(Bomb()),
        "version": b"8.2",
    },
    "a later schema": model(lambda m: m.update(schema_version={"major": 9, "minor": 0})),
    "a program of null": member(MODEL, b"null"),
    "a program of a list": member(MODEL, b"[]"),
    "a program cut in half": lambda m: m | {MODEL: m[MODEL][: len(m[MODEL]) // 2]},
    "a program nested a hundred thousand times": member(MODEL, b"[" * 100_000 + b"]" * 100_000),
    "a program with a key twice": lambda m: m | {MODEL: m[MODEL].replace(b'"nodes"', b'"nodes": [], "nodes"', 1)},
    "a program in UTF-16": lambda m: m | {MODEL: m[MODEL].decode().encode("utf-16")},
    "a program with NaN": lambda m: m | {MODEL: m[MODEL].replace(b'"min_val": 0', b'"min_val": NaN')},
    "weights that are a list": member(WEIGHTS, b"[]"),
    "weights nested deeply": member(WEIGHTS, b'{"config":' * 50_000 + b"}" * 50_000),
    "modules nested a thousand levels": model(lambda m: m["graph_module"]["module_call_graph"].append({"fqn": "a." * 1000 + "a", "signature": None})),
}  # fmt: skip
for _value in ([], 7, "x", None):
    for _field in ("graph_module", "schema_version"):
        SPOILED[f"{_field} = {_value!r}"] = model(lambda m, f=_field, v=_value: m.update({f: v}))


# --- the container ---------------------------------------------------------------------------------


def repeated(members: Members) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in [*members.items(), (MODEL, members[MODEL])]:
            archive.writestr(zipfile.ZipInfo(f"model/{name}"), data)
    return out.getvalue()


def linked(members: Members) -> bytes:
    info = zipfile.ZipInfo("model/data/link")
    info.external_attr = 0o120777 << 16
    out = io.BytesIO(pack(members))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def entry(data: bytes, at: int, layout: str, value: int, name: bytes = b"model/" + MODEL.encode()) -> bytes:
    """A field of a member's entry in the list of members."""
    start = data.rindex(name) - 46
    out = bytearray(data)
    struct.pack_into(layout, out, start + at, value)
    return bytes(out)


def end(data: bytes, at: int, layout: str, value: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(layout, out, data.rindex(b"PK\5\6") + at, value)
    return bytes(out)


def far(data: bytes) -> bytes:
    """An end that sends the reader to a list of members of 2^60 bytes."""
    at = data.rindex(b"PK\5\6")
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 1 << 60, 0)
    return data[:at] + record + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + data[at:]


CONTAINER: dict[str, Callable[[Members], bytes]] = {
    "nothing at all": lambda m: b"",
    "four bytes": lambda m: b"PK\3\4",
    "a text": lambda m: b"this is no archive\n" * 10,
    "an executable": lambda m: b"\x7fELF" + pack(m),
    "a pickle": lambda m: pickle.dumps(Bomb()),
    "half of it": lambda m: pack(m)[: len(pack(m)) // 2],
    "all but the end": lambda m: pack(m)[:-10],
    "an archive of nothing": lambda m: pack({}),
    "compressed members": lambda m: pack(m, method=zipfile.ZIP_DEFLATED),
    "a zip bomb": lambda m: pack(m | {"data/weights/weight_9": bytes(1 << 26)}, method=zipfile.ZIP_DEFLATED),
    "a zip bomb in bzip2": lambda m: pack(m | {"data/weights/weight_9": bytes(1 << 24)}, method=zipfile.ZIP_BZIP2),
    "a zip bomb in lzma": lambda m: pack(m | {"data/weights/weight_9": bytes(1 << 24)}, method=zipfile.ZIP_LZMA),
    "a member twice": repeated,
    "a member above the folder": lambda m: pack(m | {"../../escaped": b"x"}),
    "a member with an absolute path": lambda m: pack({f"model/{n}": d for n, d in m.items()} | {f"/tmp/{CANARY}": b"x"}, root=""),
    "a member with backslashes": lambda m: pack(m | {"..\\..\\escaped": b"x"}),
    "a member that is a link": linked,
    "a member with a very long name": lambda m: pack(m | {"n" * 60_000: b"x"}),
    "two folders": lambda m: pack({f"model/{n}": d for n, d in m.items()} | {"other/archive_format": b"pt2"}, root=""),
    "a member that claims a terabyte": lambda m: entry(pack(m), 24, "<I", 0xFFFFFFF0),
    "a member that is encrypted": lambda m: entry(pack(m), 8, "<H", 1),
    "a member that lies in another": lambda m: entry(pack(m), 42, "<I", 0),
    "a member that begins beyond the end": lambda m: entry(pack(m), 42, "<I", 0x7FFFFFFF),
    "a member with a wrong checksum": lambda m: entry(pack(m), 16, "<I", 7),
    "a member of an unknown method": lambda m: entry(pack(m), 10, "<H", 77),
    "a list of members of four gigabytes": lambda m: end(pack(m), 12, "<I", 0xFFFFFFF0),
    "a list of members that lies elsewhere": lambda m: end(pack(m), 16, "<I", 0x7FFFFFFF),
    "a list of members of 2^60 bytes": lambda m: far(pack(m)),
    "a comment that is cut": lambda m: end(pack(m), 20, "<H", 9999),
}

HARMLESS: dict[str, Spoil] = {
    "callables in the sample inputs": lambda m: m,
    "module types that are code": graph(lambda g: [n["metadata"].update(nn_module_stack=f"L__self__,,os.system;k,0,{TOUCH}") for n in g["nodes"]] and None),
    "guards that are code": model(lambda m: m.update(guards_code=[TOUCH])),
    "constraints that are code": model(lambda m: m.update(range_constraints={TOUCH: {"min_val": 0, "max_val": None}})),
    "metadata that are code": graph(lambda g: [n["metadata"].update(source_fn_stack=f"a,{TOUCH}", custom=TOUCH, from_node=TOUCH) for n in g["nodes"]] and None),
    "a tree of inputs that is code": model(lambda m: m["graph_module"]["module_call_graph"][0]["signature"].update(in_spec=TOUCH)),
    "names that are code": lambda m: {n: d.replace(b'"a"', json.dumps(f"a'); {TOUCH} #").encode()) if n == MODEL else d for n, d in m.items()},
    "tensors called like methods": lambda m: {n: d.replace(b'"0.bias"', b'"__class__.forward"') for n, d in m.items()},
    "unpickled members nobody reads": member("data/weights/weight_bomb", pickle.dumps(Bomb())),
    "sizes of later values that are code": graph(lambda g: g["sym_int_values"].update(s={"as_expr": {"expr_str": TOUCH}})),
}
"""Files that are read, because what is wrong with them is never looked at: the network appears, the canary does not."""


def files() -> dict[str, bytes]:
    """Every file that must be refused."""
    return {name: pack(spoil(valid())) for name, spoil in SPOILED.items()} | {name: make(valid()) for name, make in CONTAINER.items()}
