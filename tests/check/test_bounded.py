"""Bounded certificates: never less than the distance seen, no more than it where the bound can be reached, and every part of the rules is needed."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bounded
import meaning
import numpy as np
import pytest
import torch
from forge import Triple, file_bytes

from lumpnet.certificate import Effect, Move, dumps, loads
from lumpnet.check import check_files
from lumpnet.check import run as judge
from lumpnet.check.rules import KINDS, affine, norm
from lumpnet.errors import CertificateError
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict


def everything_found(triple: Triple, folder: Path) -> Effect:
    """The bound that the checker itself finds: it says so where less is claimed."""
    verdict = triple.verdict(folder)
    box = triple.effect.box if triple.effect else None
    if isinstance(verdict, Proved):
        return Effect(0.0, 0.0, box)
    assert isinstance(verdict, Unknown), verdict
    numbers = re.findall(r"[0-9][0-9.e+-]*[0-9]", verdict.reason.split("the checker itself finds ")[1])
    return Effect(*map(float, numbers), box=box)


def found(triple: Triple, folder: Path) -> float:
    return everything_found(triple, folder).alpha


def corners(triple: Triple) -> dict[str, torch.Tensor]:
    """Corners of the box and points inside."""
    assert triple.effect is not None
    assert triple.effect.box is not None
    out = {}
    for name, shape in triple.g.inputs.items():
        if name in triple.g.choices:
            continue
        n = int(np.prod(shape[1:]))
        at = np.array([[(k >> j) & 1 for j in range(n)] for k in range(1 << n)], float)
        low, high = (np.array(end) for end in triple.effect.box[name])
        points = low + (high - low) * np.concatenate([at, np.random.default_rng(0).random((40, n))])
        out[name] = torch.as_tensor(points.reshape(-1, *shape[1:]))
    count = max(map(len, out.values()))
    return out | {name: torch.arange(count) % choices for name, choices in triple.g.choices.items()}


def apart(triple: Triple) -> float:
    inputs = corners(triple)
    pairs = zip(meaning.outputs(triple.g, inputs), meaning.outputs(triple.h, inputs), strict=True)
    return max(float((f - g).abs().max()) for f, g in pairs)


@pytest.mark.parametrize("name", bounded.CASES)
def test_what_is_found_is_at_least_what_is_seen_and_is_reached_where_it_can_be(name: str, tmp_path: Path) -> None:
    build, worst = bounded.CASES[name]
    bound, seen = found(build(), tmp_path), apart(build())
    assert seen <= bound * (1 + 1e-12)
    if worst is not None:
        assert bound == pytest.approx(worst, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("build", "distance"), bounded.BELOW.items(), ids=lambda part: getattr(part, "__name__", ""))
def test_what_is_lost_below_the_floats_is_counted(build: Callable[[], Triple], distance: float, tmp_path: Path) -> None:
    assert found(build(), tmp_path) >= distance


@pytest.mark.parametrize("name", bounded.CASES)
def test_the_bound_is_claimed_to_the_last_bit(name: str, tmp_path: Path) -> None:
    triple = bounded.CASES[name][0]()
    assert triple.effect is not None
    bound = found(triple, tmp_path)
    triple.effect = replace(triple.effect, alpha=bound)
    verdict = triple.verdict(tmp_path)
    assert isinstance(verdict, Proved), verdict
    assert (verdict.claim, verdict.rounding) == ("bounded", "none" if triple.rounding == "none" else "bounded")
    assert "from the original's" in verdict.statements[0]
    if bound:
        triple.effect = replace(triple.effect, alpha=float(np.nextafter(bound, 0)))
        assert isinstance(triple.verdict(tmp_path), Unknown)


@pytest.mark.parametrize("name", bounded.CASES)
def test_over_all_inputs_the_distance_grows_with_them(name: str, tmp_path: Path) -> None:
    triple = bounded.CASES[name][0]()
    triple.effect = Effect(1e6, 1e6)
    verdict = triple.verdict(tmp_path)
    assert isinstance(verdict, Proved)
    assert "on every input x" in verdict.statements[0]


# -- every part of every rule is needed ---------------------------------------------------


def exchanged(module: Any, name: str, old: str, new: str) -> Callable[..., Any]:
    """The module's function with one piece of its text exchanged."""
    text = inspect.getsource(getattr(module, name))
    assert text.count(old) >= 1, old
    names = dict(vars(module))
    exec(compile(text.replace(old, new), "weakened", "exec"), names)
    return names[name]  # type: ignore[no-any-return]


WEAK = [
    (affine, "_against", "terms = gap[:, tied] * scale[:, None]", "terms = gap[:, tied] * 0"),
    (affine, "_against", "np.abs(gap[:, alone]).sum(axis=2)", "np.abs(gap[:, alone]).sum(axis=2) * 0"),
    (affine, "_against", "summed[:, there].sum(axis=2)", "summed[:, there].max(axis=2)"),
    (affine, "_against", "np.abs(fixed[0].sum(axis=1) + bias)", "np.abs(fixed[0].sum(axis=1))"),
    (affine, "_against", "np.abs(fixed[0].sum(axis=1) + bias)", "np.abs(bias) * 0"),
    (affine, "_against", "np.abs(bias) * (1 + 2.0**-52)", "0 * bias"),
    (affine, "_against", "not border_taps(step.node, step.shapes[0]).any()", "True"),
    (affine, "_effect", "apart[..., at] += x.size[..., read] @ moved.T", "pass"),
    (affine, "_effect", "apart[0, ..., at] += fixed", "pass"),
    (affine, "_effect", "x.apart[..., read] @ np.abs(known[at])", "x.apart[..., read] @ np.abs(0 * known[at])"),
    (norm, "_effect", "times(x.size, turned), ", ""),
    (norm, "_effect", ", step.constants(moved, x)", ""),
    (norm, "_effect", "times(x.apart, _slope(step, its)), ", ""),
    (norm, "_apart", "np.abs(a[0] - a[1])", "0 * a[0]"),
    (norm, "_apart", "np.abs(k[0] - k[1])", "0 * k[0]"),
    (norm, "_apart", "one != two", "one > two"),
]


@pytest.mark.parametrize(("module", "name", "old", "new"), WEAK, ids=lambda part: part if isinstance(part, str) else "")
def test_a_weaker_rule_finds_too_little(module: Any, name: str, old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = exchanged(module, name, old, new)
    monkeypatch.setattr(module, name, weak)
    for kind in ("linear", "conv", "batch_norm"):
        rule = KINDS[kind].effect
        if rule is not None and rule.__name__ == name and rule.__module__ == module.__name__:
            monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], effect=weak))
        elif rule is not None and rule.__module__ == module.__name__:
            fresh = exchanged(module, rule.__name__, "def ", "def ")
            monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], effect=fresh))
    assert any(apart(build()) > found(build(), tmp_path) * (1 + 1e-9) + 1e-12 for build, _ in bounded.CASES.values())


# -- what is refused ----------------------------------------------------------------------

Breaking = Callable[[Triple], Any]
REFUSED: dict[str, tuple[str, Breaking, str]] = {
    "moves of a node that is not there": ("merged", lambda t: rows(t, {"z": {"weight": {0: Move(0, 1.0)}}}), "numbers of 'z'"),
    "a taken node that is not there": ("merged", lambda t: take(t, "z"), "numbers of 'z'"),
    "moves of a parameter that is not there": ("merged", lambda t: rows(t, {"h": {"bias": {0: Move(0, 1.0)}}}), "the parameter 'bias'"),
    "a row that is not there": ("merged", lambda t: rows(t, {"h": {"weight": {3: Move(0, 1.0)}}}), "row 3"),
    "a source that is not there": ("merged", lambda t: rows(t, {"h": {"weight": {1: Move(3, 1.0)}}}), "row 3"),
    "a variance that is not positive": ("a_norm_moves", lambda t: rows(t, {"v": {"var": {1: Move(None, -1.0)}}}), "not positive"),
    "a move that is left out": ("merged", lambda t: rows(t, {}), "unit 1 and its representative 0 differ"),
    "a move by another factor": ("merged", lambda t: rows(t, bounded.copied(1, 0, 1.5)), "unit 1 and its representative 0 differ"),
    "a move from another row": ("merged", lambda t: rows(t, bounded.copied(1, 2, 1.0)), "unit 1 and its representative 0 differ"),
    "a factor that float64 rounds": ("merged_by_scale", lambda t: rows(t, bounded.copied(1, 0, 2.0 + 2.0**-50)), "unit 1 and its representative 0 differ"),
    "another reduced weight": ("merged", lambda t: t.h.nodes["y"].params["weight"].fill(3), "the reduced weight"),
    "taken numbers of an operator that has none": ("a_norm_moves", lambda t: take(t, "v"), "a linear layer, or a convolution of one group"),
    "taken numbers of a convolution in groups": ("groups_of_pairs", lambda t: take(t, "y"), "a linear layer, or a convolution of one group"),
    "taken numbers of a layer that has gone": ("merged", lambda t: gone(t), "the numbers of"),
    "moves of a count": ("behind_a_norm_that_counts", lambda t: rows(t, {"v": {"num_batches_tracked": {0: Move(None, 1.0)}}}), "num_batches_tracked"),
    "a slope that moves": ("behind_a_prelu", lambda t: slope(t, "v", "slope"), "no rule for what a moved slope does"),
    "a divisor that moves": ("behind_a_division", lambda t: slope(t, "v", "divisor"), "no rule for what a moved divisor does"),
    "a move that overflows": ("merged", lambda t: rows(t, bounded.copied(1, 0, 1.7e308)), "floating|finite|stopped"),
}


def rows(triple: Triple, moves: Any) -> None:
    assert triple.moved is not None
    triple.moved = replace(triple.moved, rows=moves)


def slope(triple: Triple, name: str, role: str) -> None:
    """One number moves to where the reduced network has it."""
    assert triple.moved is not None
    triple.g.nodes[name].params[role] = triple.g.nodes[name].params[role].copy()
    triple.g.nodes[name].params[role][1] *= 2
    rows(triple, {**triple.moved.rows, name: {role: {1: Move(0, 1.0)}}})


def gone(triple: Triple) -> None:
    """A layer that nobody reads, and that the reduced network does not have."""
    triple.g.nodes = {"h": triple.g.nodes["h"], "w": bounded.linear("x", [[1, 1]]), "y": triple.g.nodes["y"]}
    triple.lumpings["w"] = "dropped"
    take(triple, "w")


def take(triple: Triple, name: str) -> None:
    assert triple.moved is not None
    triple.moved = replace(triple.moved, taken=(*triple.moved.taken, name))


@pytest.mark.parametrize("what", REFUSED)
def test_a_broken_certificate_is_not_proved(what: str, tmp_path: Path) -> None:
    name, breaking, message = REFUSED[what]
    triple = bounded.CASES[name][0]()
    triple.effect = Effect(1e6, 0.0, bounded.UNIT)
    assert isinstance(triple.verdict(tmp_path), Proved)
    verdict = triple.broken(breaking).verdict(tmp_path)
    assert isinstance(verdict, Unknown if "stopped" in message or "no rule" in message else Refuted), verdict
    assert re.search(message, verdict.reason), verdict.reason


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> bytes:
    data = json.loads(path.read_bytes())
    change(data)
    return json.dumps(data).encode()


UNREADABLE: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda c: c.pop("moved"), "no moves of a bounded lumping"),
    (lambda c: c["claim"].pop("effect"), "the effect of a bounded lumping"),
    (lambda c: c["claim"].update(verdict="exact"), "moves of an exact lumping"),
    (lambda c: c["claim"].update(verdict="equal"), '"exact" or "bounded"'),
    (lambda c: c["moved"].pop("taken"), "exactly rows, taken"),
    (lambda c: c["moved"].update(taken=[1]), "a list of names"),
    (lambda c: c["moved"].update(taken="y"), "a list of names"),
    (lambda c: c["moved"]["rows"]["h"]["weight"].update({"1": {"0": 0, "1": 1.0}}), "row or null, factor"),
    (lambda c: c["moved"]["rows"]["h"]["weight"].update({"01": [0, 1.0]}), "a unit number in plain digits"),
    (lambda c: c["moved"]["rows"]["h"]["weight"].update({"1": [0]}), "row or null, factor"),
    (lambda c: c["moved"]["rows"]["h"]["weight"].update({"1": [-1, 1.0]}), "an integer from 0"),
    (lambda c: c["moved"]["rows"]["h"]["weight"].update({"1": [0, "1"]}), "a finite number"),
    (lambda c: c["moved"]["rows"].update(h=[]), "an object"),
]


@pytest.mark.parametrize(("change", "message"), UNREADABLE)
def test_the_reader_wants_a_bounded_claim_whole(change: Any, message: str, tmp_path: Path) -> None:
    *_, path = bounded.merged().write(tmp_path)
    loads(path.read_bytes())
    with pytest.raises(CertificateError, match=message):
        loads(changed(path, change))


def test_a_certificate_is_read_as_it_was_written(tmp_path: Path) -> None:
    for build, _ in bounded.CASES.values():
        *_, path = build().write(tmp_path)
        assert dumps(loads(path.read_bytes())) == path.read_bytes()


def test_the_first_file_is_the_original_and_no_other(tmp_path: Path) -> None:
    triple = bounded.merged()
    triple.effect = Effect(1.0, 0.0, bounded.UNIT)
    g, h, c = triple.write(tmp_path)
    other = triple.broken(lambda t: t.g.nodes["h"].params["weight"].fill(1))
    g.write_bytes(file_bytes(other.g))
    verdict: Verdict = check_files(g, h, c)
    assert isinstance(verdict, Refuted)
    assert hashlib.sha256(g.read_bytes()).hexdigest() in verdict.reason


def test_an_exact_claim_never_passes_with_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if a reader let such a certificate through."""
    triple = bounded.merged()
    triple.effect = Effect(1.0, 0.0, bounded.UNIT)
    paths = triple.write(tmp_path)
    loose = loads(paths[2].read_bytes())
    for lie in (replace(loose, verdict="exact"), replace(loose, moved=None), replace(loose, effect=None)):
        monkeypatch.setattr(judge, "loads", lambda data, lie=lie: lie)
        assert not isinstance(check_files(*paths), Proved)


def test_moves_do_not_write_into_the_file(tmp_path: Path) -> None:
    triple = bounded.taken()
    paths = triple.write(tmp_path)
    before = [path.read_bytes() for path in paths]
    triple.verdict(tmp_path)
    assert [path.read_bytes() for path in paths] == before
