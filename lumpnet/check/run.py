"""From three files to a verdict: bind, read, and discharge one obligation per node.

`Proved` is returned in one place, after every node of the original has been
discharged and every node of the reduced network accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lumpnet.certificate import MAX_BYTES, Certificate, UnknownVersion, loads
from lumpnet.check.files import read_bytes, read_network_file
from lumpnet.check.graph import Case, Network, Node, read_graph
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import Relation, relation
from lumpnet.check.rules import KINDS
from lumpnet.check.rules.pinned import between_equals
from lumpnet.errors import CertificateError, LumpnetError
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict

_MODELS = (".onnx", ".pt2", ".pt", ".pth")
_STATEMENTS = {
    "none": "the reduced network computes the original's function, in real arithmetic, on every input",
    "nearest": "the exact quotient computes the original's function, in real arithmetic, on every input; "
    "the reduced network stores its weights, each rounded to the nearest number of its dtype",
}


def check_files(original: str | Path, reduced: str | Path, certificate: str | Path) -> Verdict:
    """Follow the certificate. Raises `FileError` or `CertificateError` for unreadable files, and nothing else."""
    for path in (original, reduced):
        if Path(path).suffix.lower() in _MODELS:
            return Unknown(f'{path}: a model file needs "lumpnet check"; this checker reads network files only')
    try:
        with np.errstate(all="raise", under="ignore"):
            return _check(original, reduced, certificate)
    except (UnknownVersion, Unsure) as reason:
        return Unknown(str(reason))
    except Refusal as reason:
        return Refuted(str(reason))
    except LumpnetError:
        raise
    except Exception as problem:
        return Unknown(f"the checker stopped: {type(problem).__name__} ({str(problem)[:200]})")


def _check(original: str | Path, reduced: str | Path, certificate: str | Path) -> Verdict:
    try:
        claim = loads(read_bytes(certificate, MAX_BYTES, CertificateError))
    except CertificateError as error:
        if error.where == str(certificate):
            raise
        raise type(error)(f"{certificate}: {error.where}", error.found, error.expected, error.hint) from error
    files = [read_network_file(path) for path in (original, reduced)]
    for file, bound, role in zip(files, (claim.original, claim.reduced), ("original", "reduced"), strict=True):
        if file.sha256 != bound:
            raise Refusal(f"{role} network file", f"SHA-256 {file.sha256}", f"{bound}, to which the certificate binds it")
    g, h = (read_graph(file, KINDS) for file in files)
    relations = _relations(g, claim)
    _same_interface(g, h, relations)
    pairs = _pairs(g, h, relations)
    discharged = {node.name: _discharge(_case(node, pairs[node.name], relations, claim.rounding, (g.dtype, h.dtype))) for node in g.nodes}
    undone = [node.name for node in g.nodes if not isinstance(discharged.get(node.name), str)]
    if undone or claim.verdict != "exact" or claim.rounding not in _STATEMENTS:
        return Unknown(f"node {undone[0]!r} was not examined" if undone else "the certificate claims what this checker does not decide")
    opaque = sorted({str(node.attrs["target"]) for node in g.nodes if KINDS[node.kind].opaque and not relations[node.name].absent})
    trusted = ("lumpnet.check", *(f"{name} gives equal results for equal arguments" for name in opaque))
    return Proved("exact", claim.rounding, (_STATEMENTS[claim.rounding], *_outside(g, relations)), trusted)


def _outside(g: Network, relations: Mapping[str, Relation]) -> tuple[str, ...]:
    """What no lumping says: a unit that has gone may be undefined where the reduced network is not. Whole values are undefined together."""
    lumped = [node for node in g.nodes if not relations[node.name].identity]
    partial = sorted({node.kind for node in lumped if KINDS[node.kind].partial(node, [g.values[name].shape for name in node.inputs])})
    return (f"inputs at which a value of the original is undefined ({', '.join(partial)}) are outside of this claim",) if partial else ()


def _relations(g: Network, claim: Certificate) -> dict[str, Relation]:
    """One relation for every value of the original, and for nothing else."""
    missing, extra = sorted(set(g.values) - set(claim.lumpings)), sorted(set(claim.lumpings) - set(g.values))
    if missing or extra:
        raise Refusal("lumpings", f"{'none' if missing else 'one'} for {(missing or extra)[0]!r}", "one for every value of the original network and no other")
    out = {name: relation(name, value.shape, claim.lumpings[name]) for name, value in g.values.items()}
    for name, value in g.values.items():
        if value.dtype != g.dtype and out[name].axis is not None:
            raise Refusal(f"lumping of {name!r}", f"a lumping of a value of dtype {value.dtype}", "identity, since its numbers are no reals")
    return out


def _same_interface(g: Network, h: Network, relations: Mapping[str, Relation]) -> None:
    """Inputs and outputs are the original's, in order, and related by the identity."""
    mine, its = ([(v.name, v.shape, _dtype(n, v.dtype)) for v in n.inputs] for n in (g, h))
    if mine != its:
        raise Refusal("reduced inputs", f"{its}", f"{mine}")
    if g.outputs != h.outputs:
        raise Refusal("reduced outputs", f"{list(h.outputs)}", f"{list(g.outputs)}")
    for name in (*(v.name for v in g.inputs), *g.outputs):
        if not relations[name].identity:
            raise Refusal(f"lumping of {name!r}", "an input or output of the network that is lumped or dropped", "identity")


def _dtype(network: Network, dtype: str) -> str:
    return "float" if dtype == network.dtype else dtype


def _pairs(g: Network, h: Network, relations: Mapping[str, Relation]) -> dict[str, Node | None]:
    """Per node of the original its counterpart, or None; the reduced network has these nodes, in this order, and no other."""
    expected = [node.name for node in g.nodes if not relations[node.name].absent]
    found = [node.name for node in h.nodes]
    if expected != found:
        at = next((k for k, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), min(len(expected), len(found)))
        raise Refusal("reduced nodes", f"{found[at : at + 1] or 'the end'} at position {at}", f"{expected[at : at + 1] or 'the end'}, by the lumpings")
    counterparts = {node.name: node for node in h.nodes}
    return {node.name: counterparts.get(node.name) for node in g.nodes}


def _case(node: Node, reduced: Node | None, relations: Mapping[str, Relation], rounding: str, dtypes: tuple[str | None, str | None]) -> Case:
    return Case(node, reduced, tuple(relations[name] for name in node.inputs), relations[node.name], rounding, dtypes)


def _discharge(case: Case) -> str:
    """Check one node's obligation and say how. A dropped value claims nothing."""
    if case.out.dropped:
        return "nothing is claimed"
    kind = KINDS[case.node.kind]
    if case.reduced is not None:
        _counterpart(case, case.reduced)
    if not kind.opaque and between_equals(case):
        return "the same operator on equal values"
    return kind.oblige(case)


def _counterpart(case: Case, reduced: Node) -> None:
    """Kind, inputs, attributes and shape of the reduced node are those the lumpings give."""
    kind = KINDS[case.node.kind]
    kinds, inputs = kind.counterpart(case)
    if reduced.kind not in kinds or (inputs is not None and reduced.inputs != inputs):
        expected = f"{' or '.join(kinds)} of {'any value' if inputs is None else list(inputs)}"
        raise Refusal(case.where, f"the reduced node is {reduced.kind} of {list(reduced.inputs)}", expected)
    if reduced.kind == case.node.kind:
        for key in sorted({*case.node.attrs, *reduced.attrs} - {*kind.free}):
            if repr(case.node.attrs.get(key)) != repr(reduced.attrs.get(key)):
                raise Refusal(case.where, f"the reduced {key} is {ascii(reduced.attrs.get(key))[:80]}", ascii(case.node.attrs.get(key))[:80])
    if reduced.shape != case.out.reduced_shape():
        raise Refusal(case.where, f"the reduced value has shape {reduced.shape}", f"{case.out.reduced_shape()}, by its lumping")
