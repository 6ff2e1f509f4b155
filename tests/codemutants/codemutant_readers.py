"""Questions about the checker's readers and its way from files to a verdict: files that nothing but a reader refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from codemutant_engine import ROOT, Case

Check = Callable[..., Any]
FILES = ("g.safetensors", "h.safetensors", "c.json")


def _written(folder: Path, *files: bytes) -> Path:
    folder.mkdir()
    for name, data in zip(FILES, files, strict=True):
        (folder / name).write_bytes(data)
    return folder


def readers(folder: Path) -> list[Case]:
    sys.path.insert(0, str(ROOT / "tests/hostile"))
    from hostile_files import NETWORK, rebound, triple

    original, reduced, claim = triple()
    cases = []
    for k, (what, spoil) in enumerate((NETWORK | _more()).items()):
        data = spoil(original)
        root = json.loads(rebound(data, data, claim)) | {"lumpings": dict.fromkeys(_names(data), "identity")}
        if len(data) < 1 << 18:
            cases.append(Case(f"twice: {what}", partial(_answer, _written(folder / str(k), data, data, json.dumps(root).encode())), forged=True))
    kinds = ("int64", "int8", "float32", "float64", "bool")
    of = {kind: _more()[f"values of {kind}"](original) for kind in (*kinds[:2], "float64", "bool")} | {"float32": _more()["a plain network"](original)}
    for one in kinds:
        for two in kinds:
            root = json.loads(rebound(of[one], of[two], claim)) | {"lumpings": {"x": "identity", "y": "identity"}}
            place = _written(folder / f"{one} {two}", of[one], of[two], json.dumps(root).encode())
            cases.append(Case(f"pair: {one} and {two}", partial(_answer, place), forged=True))
    cases += [Case(f"way: claims of {name}", partial(_claims, place), forged=True) for name, place in _rounded(folder).items()]
    good = _written(folder / "good", original, reduced, claim)
    wrong = _written(folder / "wrong", original, original, rebound(original, original, claim))
    questions = {"read": _read, "models": _models, "unfinished": _unfinished}
    cases += [Case(f"way: {name}", partial(question, good, wrong), forged=True) for name, question in questions.items()]
    return [*cases, *(Case(f"reader: {question.__name__}", question, forged=True) for question in (_json, _finite, _problems))]


def _rounded(folder: Path) -> dict[str, Path]:
    """Networks some of whose numbers are rounded: a layer, and numbers that are added to units or multiply them."""
    sys.path.insert(0, str(ROOT / "tests/check"))
    from catalog import CASES
    from forge import N, Net, Triple

    def net(kind: str, role: str, dtype: str) -> Net:
        numbers = np.array([0.1, 0.125, 3.3, 4.0], dtype)
        return Net({"x": (None, 4)}, {"y": N(kind, (None, 4), ["x"], {"axis": 1}, {role: numbers})}, ["y"], dtype)

    triples = {"a layer": CASES["linear_nearest"]()}
    for kind, role in (("add_constant", "term"), ("mul_constant", "factor")):
        triples[kind] = Triple(net(kind, role, "float64"), net(kind, role, "float32"), {}, "nearest")
    places = {name: folder / f"rounded {name}" for name in triples}
    for name, place in places.items():
        place.mkdir()
        triples[name].write(place)
    return places


def _claims(place: Path, check: Check) -> str:
    """A bound on what rounding does holds in both of its numbers, and on its box."""
    from codemutant_corpus import said

    run, files, certificate = (sys.modules[name] for name in ("lumpnet.check.run", "lumpnet.check.files", "lumpnet.certificate"))
    pair = tuple(files.read_network_file(place / name) for name in FILES[:2])
    claim, answers = certificate.loads((place / FILES[2]).read_bytes()), []
    for box in (None, {"x": ((-1.0,), (2.0,))}, {"x": ((-1.0, -2.0), (2.0, 1.0))}, {}, {"z": ((-1.0,), (2.0,))}, {"x": ((-1.0,) * 3, (2.0,) * 3)}):
        bounds = ()
        if box in (None, {"x": ((-1.0,), (2.0,))}):
            reason = ""
            try:
                run._check(pair, replace(claim, effect=certificate.Effect(0.0, 0.0, box)))
            except Exception as problem:
                reason = str(problem)
            alpha, _, beta = reason.rsplit("finds ", 1)[-1].rstrip(".").removesuffix(" |x|").partition(" + ")
            bounds = ((float(alpha), float(beta or 0)), (np.nextafter(float(alpha), 0), float(beta or 0)), (float(alpha), np.nextafter(float(beta or 0), -1)))
        for alpha, beta in (*bounds, (1e9, 1e9), (0.0, 1e9), (1e9, 0.0), (1e-9, 1e-9), (1e-6, 1e-6)):
            try:
                answers.append(said(run._check(pair, replace(claim, effect=certificate.Effect(alpha, beta, box)))))
            except Exception as problem:
                answers.append(type(problem).__name__)
    return " ".join(answers)


def _names(data: bytes) -> list[str]:
    """The values of a network file, as far as it says."""
    try:
        graph = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["lumpnet"])
        return [name for entry in (*graph["inputs"], *graph["nodes"]) if isinstance(name := entry["name"], str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ["x", "a", "r", "y"]


def _more() -> dict[str, Callable[[bytes], bytes]]:
    """Networks in which one thing is wrong and the rest would do."""
    from hostile_files import graph, header, number, split, tensor

    def value(name: str, shape: Any, dtype: Any = "float32") -> dict[str, Any]:
        return {"name": name, "shape": shape, "dtype": dtype}

    def made(inputs: list[Any], nodes: list[Any]) -> Any:
        return graph(lambda g: g.update(inputs=inputs, nodes=nodes, outputs=[nodes[-1]["name"]]))

    def node(name: str, kind: str, inputs: list[str], shape: Any, dtype: Any = "float32", **attrs: Any) -> dict[str, Any]:
        return value(name, shape, dtype) | {"kind": kind, "inputs": inputs, "attrs": attrs, "params": {}}

    call = {"target": "t", "args": [], "kwargs": {}, "output": None}
    found: dict[str, Any] = {"a plain network": made([value("x", [None, 2])], [node("y", "relu", ["x"], [None, 2])])}
    for size in (None, -1, 1.5, True, "2", [2], (1 << 31) - 1, 1 << 31, 0, 1):
        found[f"a size {size}"] = made([value("x", [None, size])], [node("y", "relu", ["x"], [None, size])])
        found[f"a first size {size}"] = made([value("x", [size, 2])], [node("y", "relu", ["x"], [size, 2])])
    for rank in (0, 1, 31, 32, 33):
        found[f"{rank} axes"] = made([value("x", [1] * rank)], [node("y", "relu", ["x"], [1] * rank)])
    for dtype in ("float16", "bfloat16", "float64", "int8", "int64", "uint8", "bool", "float8", "", None, ["float32"]):
        found[f"values of {dtype}"] = made([value("x", [None, 2], dtype)], [node("y", "relu", ["x"], [None, 2], dtype)])
        found[f"a call that gives {dtype}"] = made([value("x", [None, 2])], [node("y", "opaque", ["x"], [None, 2], dtype, **call)])
        found[f"a sum of a float and {dtype}"] = made([value("x", [None, 2]), value("z", [None, 2], dtype)], [node("y", "add", ["x", "z"], [None, 2])])
    for name in ("", "n" * 1000, "n" * 1001, 5):
        found[f"a name {str(name)[:3]!r} of {len(str(name))}"] = made([value("x", [None, 2])], [node(name, "relu", ["x"], [None, 2])])  # type: ignore[arg-type]
    twice = [node("y", "relu", ["x"], [None, 2]), node("y", "tanh", ["x"], [None, 2])]
    found["two nodes of one name, and nothing else"] = made([value("x", [None, 2])], twice)
    found["an input and a node of one name"] = made([value("y", [None, 2])], [node("y", "relu", ["y"], [None, 2])])
    found["two inputs of one name"] = made([value("x", [None, 2]), value("x", [None, 2])], [node("y", "relu", ["x"], [None, 2])])
    found["a call without inputs"] = made([value("x", [None, 2])], [node("y", "opaque", [], [None, 2], **call)])
    found["nothing side by side"] = made([value("x", [None, 2])], [node("y", "concat", [], [None, 2], axis=1)])
    for key in ("buffers", "notes", "outputs"):
        found[f"{key} that are numbers"] = graph(lambda g, key=key: g.update({key: [5]}))
        found[f"{key} that are one text"] = graph(lambda g, key=key: g.update({key: "y"}))
    found["neither buffers nor notes"] = graph(lambda g: (g.pop("buffers", None), g.pop("notes", None)))
    found["a weight of integers"] = tensor("y.weight", dtype="I32")
    found["a NaN in front"] = lambda data: (lambda body: data[: len(data) - len(body)] + np.float32(np.nan).tobytes() + body[4:])(split(data)[1])
    found["a NaN behind"] = number(np.nan)
    found["a header length with its last byte set"] = lambda data: data[:7] + bytes([1]) + data[8:]
    found["metadata of which one is a number"] = header(lambda h: h["__metadata__"].update(more=5))
    found["offsets and one more"] = header(lambda h: h["a.weight"]["data_offsets"].append(0))
    found["an entry in a list"] = header(lambda h: h.update({"a.weight": list(h["a.weight"])}))
    found["offsets of one"] = tensor(data_offsets=[0])
    found["offsets of which one is false"] = tensor("a.bias", data_offsets=[False, 16])
    found["offsets in an object"] = tensor(data_offsets={"0": 0, "1": 48})
    return found


def _answer(place: Path, check: Check) -> str:
    from codemutant_corpus import said

    return said(check(*(place / name for name in FILES)))


def _read(good: Path, wrong: Path, check: Check) -> str:
    """`check_read`, on files that are read already."""
    from codemutant_corpus import said

    run, files, answers = sys.modules["lumpnet.check.run"], sys.modules["lumpnet.check.files"], []
    for place in (good, wrong):
        g, h = (files.read_network_file(place / name) for name in FILES[:2])
        answers.append(said(run.check_read(g, h, (place / FILES[2]).read_bytes())))
    return " ".join(answers)


def _models(good: Path, wrong: Path, check: Check) -> str:
    """A model is sent to the command that lifts it, by its name."""
    answers = []
    for suffix in (".onnx", ".pt2", ".pt", ".PTH", ".none"):
        for pair in ((f"m{suffix}", good / FILES[1]), (good / FILES[0], f"m{suffix}")):
            try:
                answers.append(type(check(*pair, good / FILES[2])).__name__)
            except Exception as problem:
                answers.append(type(problem).__name__)
    return " ".join(answers)


def _unfinished(good: Path, wrong: Path, check: Check) -> str:
    """Claims that no certificate can be read to make, and nodes that nobody examined, are Unknown."""
    from codemutant_corpus import said

    run, files, certificate = sys.modules["lumpnet.check.run"], sys.modules["lumpnet.check.files"], sys.modules["lumpnet.certificate"]
    pair = tuple(files.read_network_file(good / name) for name in FILES[:2])
    claim = certificate.loads((good / FILES[2]).read_bytes())
    answers = [said(run._check(pair, replace(claim, **change))) for change in ({}, {"verdict": "relaxed"}, {"rounding": "up"}, {"verdict": "exactly"})]
    for lazy in (lambda case: None, lambda case: None if case.node.name == "r" else "done", lambda case: True):
        kept, run._discharge = run._discharge, lazy
        try:
            answers.append(said(run._check(pair, claim)))
        finally:
            run._discharge = kept
    return " ".join(answers)


def _problems(check: Check) -> str:
    """Whatever happens on the way, it is no proof."""
    run, outcome, certificate = (sys.modules[name] for name in ("lumpnet.check.run", "lumpnet.check.outcome", "lumpnet.certificate"))
    errors = (
        outcome.Refusal("a", "b", "c"),
        outcome.Unsure("a", "b"),
        certificate.UnknownVersion("a", "b", "c", "d"),
        certificate.CertificateError("a", "b", "c", "d"),
    )
    answers = []

    def raising(error: Exception) -> Any:
        raise error

    for call in (*(partial(raising, error) for error in (*errors, ZeroDivisionError(), KeyError("x"), MemoryError())), _overflow, _underflow):
        try:
            answers.append(type(run._answered(call)).__name__)
        except Exception as problem:
            answers.append(f"raised {type(problem).__name__}")
    return " ".join(answers)


def _overflow() -> str:
    return str(np.float64(1e308) * np.float64(10))


def _underflow() -> str:
    return str(np.float64(1e-308) * np.float64(1e-10))


TEXTS = (
    b'{"a": 1}', b"[]", b"null", b"5", b"-7", b"1.5", b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"-1e999", b'{"a": 1, "a": 1}',
    b'{"a": 1, "b": {"c": 1, "c": 2}}', b'"\\ud800"', b'"\\ud83d\\ude00"', b"\xff", b'"\xff"', b"{", b"", b"[1,]", b'"[[[["',
    *(sign + b"9" * n for sign in (b"", b"-") for n in (19, 20, 21)),
    *(b"[" * n + b"]" * n for n in (1, 63, 64, 65, 66, 500)), *(b'{"a":' * n + b"1" + b"}" * n for n in (63, 64, 65)),
    b"[" + b",".join([b"[]"] * 100) + b"]", b"[" + b",".join([b"{}"] * 100) + b"]", b'["' + b"[" * 100 + b'"]', b'{"' + b"{" * 100 + b'": 1}',
    b"[" + b",".join([b'["a"]'] * 100) + b"]",
    b'["\\"", ' + b"[" * 70 + b"]" * 70 + b"]",
)  # fmt: skip


def _json(check: Check) -> str:
    certificate, answers = sys.modules["lumpnet.certificate"], []
    for text in TEXTS:
        for limit in (1 << 20, len(text), len(text) - 1):
            try:
                answers.append(repr(certificate.strict_json(text, "here", certificate.CertificateError, limit)))
            except Exception as problem:
                answers.append(type(problem).__name__)
    return " ".join(answers)


def _finite(check: Check) -> str:
    """NaN and infinities are found wherever they stand, in every dtype that has them."""
    files, answers = sys.modules["lumpnet.check.files"], []
    halves = (0, 0x3F80, 0x7F7F, 0x7F80, 0xFF80, 0x7FC0, 0x7F81, 0x8000, 0xFFFF)
    tensors = [("BF16", np.array([half], "<u2")) for half in halves]
    for kind, dtype in (("F16", "<f2"), ("F32", "<f4"), ("F64", "<f8")):
        tensors += [(kind, np.array([1, v, 2][at:], dtype)) for v in (np.nan, np.inf, -np.inf, 3) for at in (0, 1)]
    tensors += [("I64", np.array([1 << 62])), ("BOOL", np.array([1], "|u1")), ("U16", np.array([0x7F80], "<u2")), ("F32", np.zeros((0, 3), "<f4"))]
    for kind, data in tensors:
        try:
            answers.append(str(files._finite("here", files.Tensor(kind, data))))
        except Exception as problem:
            answers.append(type(problem).__name__)
    return " ".join(answers)
