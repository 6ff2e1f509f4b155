"""From three files to a verdict: bind, read, and discharge one obligation per node.

`Proved` is returned in one place, after every node of the original has been
discharged and every node of the reduced network accounted for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lumpnet.certificate import MAX_BYTES, Certificate, Effect, UnknownVersion, loads
from lumpnet.check.effect import Exact, effect, total
from lumpnet.check.files import NetworkFile, read_bytes, read_network_file
from lumpnet.check.graph import Case, Network, Node, read_graph
from lumpnet.check.moved import after, other
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
    return _answered(lambda: _check_files(original, reduced, certificate))


def check_read(original: NetworkFile, reduced: NetworkFile, certificate: bytes) -> Verdict:
    """Follow the certificate on files that `read_network_file` has read. Raises `CertificateError` for an unreadable certificate."""
    return _answered(lambda: _check((original, reduced), loads(certificate)))


def _answered(check: Callable[[], Verdict]) -> Verdict:
    try:
        with np.errstate(all="raise", under="ignore"):
            return check()
    except (UnknownVersion, Unsure) as reason:
        return Unknown(str(reason))
    except Refusal as reason:
        return Refuted(str(reason))
    except LumpnetError:
        raise
    except Exception as problem:
        return Unknown(f"the checker stopped: {type(problem).__name__} ({str(problem)[:200]})")


def _check_files(original: str | Path, reduced: str | Path, certificate: str | Path) -> Verdict:
    try:
        claim = loads(read_bytes(certificate, MAX_BYTES, CertificateError))
    except CertificateError as error:
        if error.where == str(certificate):
            raise
        raise type(error)(f"{certificate}: {error.where}", error.found, error.expected, error.hint) from error
    with ThreadPoolExecutor() as readers:  # hashing takes longer than anything else where little was lumped
        first, second = readers.map(read_network_file, (original, reduced))
    return _check((first, second), claim)


def _check(files: tuple[NetworkFile, NetworkFile], claim: Certificate) -> Verdict:
    for file, bound, role in zip(files, (claim.original, claim.reduced), ("original", "reduced"), strict=True):
        if file.sha256 != bound:
            raise Refusal(f"{role} network file", f"SHA-256 {file.sha256}", f"{bound}, to which the certificate binds it")
    read, h = (read_graph(file, KINDS) for file in files)
    relations = relations_of(read, claim)
    g = read if claim.moved is None else after(read, claim.moved, KINDS, h, relations)
    _same_interface(g, h, relations)
    pairs = _pairs(g, h, relations)
    cases = [_case(node, pairs[node.name], relations, claim.rounding, (g.dtype, h.dtype)) for node in g.nodes]
    discharged = {case.node.name: _discharge(case) for case in cases}
    undone = [node.name for node in g.nodes if not isinstance(discharged.get(node.name), str)]
    if undone or (claim.verdict, claim.moved is None) not in (("exact", True), ("bounded", False)) or claim.rounding not in _STATEMENTS:
        return Unknown(f"node {undone[0]!r} was not examined" if undone else "the certificate claims what this checker does not decide")
    opaque = sorted({str(node.attrs["target"]) for node in g.nodes if KINDS[node.kind].opaque and not relations[node.name].absent})
    trusted = ("lumpnet.check", *(f"{name} gives equal results for equal arguments" for name in opaque))
    rounded = {case.node.name: case.exact for case in cases}
    if claim.moved is not None:
        return Proved(
            "bounded", "none" if claim.rounding == "none" else "bounded", (_deviation(read, relations, g, h, rounded, claim), *_outside(g, relations)), trusted
        )
    says = _STATEMENTS[claim.rounding], *_effect(h, rounded, claim.effect), *_outside(g, relations)
    return Proved("exact", claim.rounding if claim.effect is None else "bounded", says, trusted)


def _deviation(read: Network, relations: Mapping[str, Relation], moved: Network, h: Network, rounded: Mapping[str, Exact], claim: Certificate) -> str:
    """What moves and rounding do at the outputs together, computed again. Raises `Unsure` where less is claimed."""
    if claim.effect is None:
        raise Unsure("claim.effect", "a bounded lumping without a bound")
    own, _ = effect(moved, KINDS, {}, claim.effect.box, other(read, relations))
    if claim.rounding != "none":
        own = total(own, effect(h, KINDS, rounded, claim.effect.box)[0])
    which = _at_most(own, claim.effect)
    what = "no output entry of the reduced network, in real arithmetic on its stored weights, is further from the original's than"
    return f"{which[0]}, {what} {shown_effect(claim.effect)}{which[1]}"


def _effect(h: Network, exact: Mapping[str, Exact], claim: Effect | None) -> tuple[str, ...]:
    """What rounding does at the outputs, computed again. Raises `Unsure` where less is claimed."""
    if claim is None:
        return ()
    own, _ = effect(h, KINDS, exact, claim.box)
    which = _at_most(own, claim)
    what = "no output entry of the reduced network, in real arithmetic on its stored weights, is further from the exact quotient's than"
    return (f"{which[0]}, {what} {shown_effect(claim)}{which[1]}",)


def _at_most(own: Effect, claim: Effect) -> tuple[str, str]:
    """On which inputs the claim is made, and in which norm. Raises `Unsure` where it claims less than was found."""
    if not (own.alpha <= claim.alpha and own.beta <= claim.beta):
        raise Unsure("claim.effect", f"it claims {shown_effect(claim)}, and the checker itself finds {shown_effect(own)}")
    which = "on every input x" if claim.box is None else "on every input in the certificate's box"
    return which, ", with |x| the largest absolute entry of its real numbers" if claim.box is None else ""


def shown_effect(effect: Effect) -> str:
    """`alpha + beta |x|`, or `alpha` on a box."""
    return f"{effect.alpha!r}" + (f" + {effect.beta!r} |x|" if effect.box is None else "")


def _outside(g: Network, relations: Mapping[str, Relation]) -> tuple[str, ...]:
    """What no lumping says: a unit that has gone may be undefined where the reduced network is not. Whole values are undefined together."""
    lumped = [node for node in g.nodes if not relations[node.name].identity]
    partial = sorted({node.kind for node in lumped if KINDS[node.kind].partial(node, [g.values[name].shape for name in node.inputs])})
    return (f"inputs at which a value of the original is undefined ({', '.join(partial)}) are outside of this claim",) if partial else ()


def relations_of(g: Network, claim: Certificate) -> dict[str, Relation]:
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
        case.exact.update({role: np.ones((), np.bool_) for role in (*case.node.params, "bias")})
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
