"""What must not pass as a proof: vacuous premises, needless conditions, timeouts, replays that do not replay."""

import pytest
import sympy

from proofs import smt
from proofs.enclosure import box
from proofs.lemma import Fails
from proofs.lemmas import relu, tanh
from proofs.smt import Claim, Converse, SmtLemma
from proofs.symbolic import Probe, SymbolicLemma


def lemma(claim, *converses):
    return SmtLemma("test.claim", "none", "a claim made by a test", claim, converses)


def reason(subject):
    outcome = subject.report().outcome
    assert isinstance(outcome, Fails)
    return outcome.reason


def test_contradicting_premises_prove_nothing():
    claim = lemma(lambda w: Claim({"impossible": w.real("x") != w.real("x")}, ((w.real("x"), w.real("y")),)))
    assert "vacuous" in reason(claim)


def test_a_false_claim_comes_with_its_model():
    assert "counterexample" in reason(lemma(lambda w: Claim({}, ((w.real("x"), w.real("y")),))))


def test_a_condition_that_is_not_needed_is_reported():
    claim = lemma(lambda w: Claim({"idle": w.real("x") > 0}, ((w.real("x"), w.real("x")),)), Converse("idle", "none"))
    assert "not needed" in reason(claim)


def test_an_undecided_query_is_a_failure(monkeypatch):
    monkeypatch.setattr(smt, "MILLISECONDS", 1)

    def fermat(w):
        x, y, z = (w.integer(name) for name in "xyz")
        positive = w.every(v > 0 for v in (x, y, z))
        return Claim({"positive": positive, "cubes add": x * x * x + y * y * y == z * z * z}, ((w.constant(0), w.constant(1)),))

    assert "unknown" in reason(lemma(fermat))


def test_a_counterexample_counts_only_after_its_replay():
    """The prover sees |x|, the replay sees x: what Z3 finds does not happen in exact arithmetic."""

    def claim(world):
        x = world.real("x")
        seen = -x if isinstance(world, smt.Symbols) else x
        return Claim({"zero": x == 0}, ((seen, x),))

    assert "the two sides are equal in exact arithmetic" in reason(lemma(claim, Converse("zero", "none")))


def test_a_replay_may_violate_the_dropped_condition_only():
    def claim(world):
        x = world.real("x")
        hidden = x == x if isinstance(world, smt.Symbols) else x < 0
        return Claim({"zero": x == 0, "hidden": hidden}, ((x, 0 * x),))

    assert "false in exact arithmetic are ['zero', 'hidden']" in reason(lemma(claim, Converse("zero", "none", {"x": 1})))


def test_an_irrational_counterexample_is_not_replayed():
    def claim(world):
        x = world.real("x")
        return Claim({"one": x == 1}, ((x, world.constant(1)),), given=(world.some([x == 1, x * x == 2]),))

    assert "not rational" in reason(lemma(claim, Converse("one", "none")))


def test_sympy_must_reach_zero_and_the_enclosure_must_exclude_it():
    u = sympy.Symbol("u", real=True)
    assert "does not vanish" in reason(SymbolicLemma("test.one", "none", "", u, {}))
    blind = SymbolicLemma("test.two", "none", "", u, {"zero": ({u: 0},)}, (Probe("zero", "none", {"u": (1,)}, lambda p: box(0)),))
    assert "contains zero" in reason(blind)
    poor = SymbolicLemma("test.three", "none", "", u, {"zero": ({u: 0},)}, (Probe("zero", "none", {"u": (0,)}, lambda p: box(p["u"])),))
    assert "no counterexample" in reason(poor)


@pytest.mark.parametrize("subject", [relu.LEMMAS[0], tanh.LEMMAS[2]], ids=lambda x: x.name)
def test_an_unknown_condition_cannot_be_dropped(subject):
    with pytest.raises(KeyError, match="has no side condition"):
        subject.without("the moon is full")
