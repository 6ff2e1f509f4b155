"""An audit along a certificate's relation: as true as any, and closer."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lumpnet
from lumpnet.audit.related import related
from lumpnet.audit.result import Audit
from lumpnet.certificate import Certificate, Lumping, Surd, dumps
from lumpnet.errors import CertificateError, LumpnetError
from lumpnet.testing import FAMILIES, as_trained
from tests.audit.campaign import Tally, contradict

SEED = int(os.environ.get("LUMPNET_SEED") or int.from_bytes(os.urandom(3), "big"))
BOX = lumpnet.Box(-1, 1.5)


def smaller(seed: int, family: str = "mlp", size: float = 0.6) -> lumpnet.Reduction:
    return lumpnet.reduce(lumpnet.Network(as_trained(seed, family)), domain=BOX, size=size)


def one_box(result: lumpnet.Reduction, certificate: Certificate | Path | None) -> Audit:
    options: dict[str, Any] = {"boxes": 1, "timeout": math.inf, "jobs": 1, "lossless": False}
    return lumpnet.audit(result.original, result.network, domain=BOX, certificate=certificate, **options)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", [1, SEED])
def test_nothing_contradicts_an_audit_along_a_certificate(family: str, seed: int) -> None:
    result = smaller(seed, family)

    def audited(one: Any, two: Any, **options: Any) -> Audit:
        return lumpnet.audit(one, two, certificate=result.certificate, **options)

    tally = Tally()
    contradict(f"{family} {seed}", result.original.graph, result.network.graph, BOX, np.random.default_rng(seed), tally, 0.3, audited)
    assert not tally.violations
    assert tally.evaluations or any("refused" in verdict for verdict in tally.verdicts)


def near_twins(seed: int) -> lumpnet.Reduction:
    """Two layers, each with three units that are nearly multiples of others; these leave."""
    rng = np.random.default_rng(seed)
    layers, units = list[nn.Module](), 16
    for _ in range(2):
        rows = rng.normal(size=(21, units)) / math.sqrt(units)
        near = rows[:3] * rng.uniform(0.5, 2, size=(3, 1)) + 0.01 * rng.normal(size=(3, units)) / math.sqrt(units)
        layer = nn.Linear(units, 24, bias=False)
        layer.weight.data = torch.from_numpy(rng.permutation(np.concatenate([rows, near]))).float()
        layers, units = [*layers, layer, nn.ReLU()], 24
    return lumpnet.reduce(nn.Sequential(*layers, nn.Linear(24, 3, bias=False)), torch.zeros(2, 16), domain=BOX, size=21 / 24)


def test_it_is_closer_than_units_matched_by_what_is_stored(tmp_path: Path) -> None:
    ratios = []
    for seed in range(5):
        result = near_twins(seed)
        written = tmp_path / "certificate.json"
        written.write_bytes(dumps(result.certificate))
        matched, own, read = (one_box(result, c).upper_bound for c in (None, result.certificate, written))
        assert own == read
        assert own is not None
        assert matched is not None
        ratios.append(own / matched if matched else 1.0)
    assert sorted(ratios)[2] < 0.2, ratios


def test_an_exact_reduction_is_equivalent_along_its_certificate() -> None:
    result = lumpnet.reduce(Path(lumpnet.__file__).parent / "cli" / "demo.safetensors", require="exact")
    found = lumpnet.audit(result.original, result.network, domain=lumpnet.Box(0, 1), certificate=result.certificate, boxes=1, lossless=False)
    assert result.network.size.units < result.original.size.units
    assert found.verdict == "equivalent" or (found.upper_bound or math.inf) < 1e-4


def test_numbers_of_a_relation_are_those_of_the_certificate() -> None:
    result = smaller(3)
    name, given = next((n, v) for n, v in result.certificate.lumpings.items() if isinstance(v, Lumping) and len(v.classes) > v.columns)
    more = replace(given, offset={0: Surd(Fraction(1), Fraction(2), Fraction(2))}, scale={1: Fraction(3)}, classes=(-1, 0, *given.classes[2:]))
    found = related(replace(result.certificate, lumpings={**result.certificate.lumpings, name: more}), result.original.graph, result.network.graph)
    units = found[name][1]
    assert units is not None
    assert (units.of[0], units.scale[0], units.offset[0]) == (-1, 0.0, 1 + 2 * math.sqrt(2))
    assert (units.of[1], units.scale[1], units.offset[1]) == (0, 3.0, 0.0)
    ghosts = np.array([c >= given.columns for c in more.classes])
    assert (units.of[ghosts] == -1).all()
    assert not units.offset[ghosts].any()


def hostile(certificate: Certificate) -> dict[str, Certificate]:
    name, given = next((n, v) for n, v in certificate.lumpings.items() if isinstance(v, Lumping) and len(v.classes) > v.columns)

    def other(**changes: Any) -> Certificate:
        return replace(certificate, lumpings={**certificate.lumpings, name: replace(given, **changes)})

    return {
        "another axis": other(axis=2),
        "more units": other(classes=(*given.classes, 0)),
        "fewer columns": other(columns=given.columns - 1),
        "more columns": other(columns=given.columns + 1),
        "a scale of a unit that is not there": other(scale={len(given.classes): Fraction(2)}),
        "a scale beyond all floats": other(scale={next(k for k, c in enumerate(given.classes) if 0 <= c < given.columns): Fraction(10) ** 400}),
        "an offset beyond all floats": other(classes=(-1, *given.classes[1:]), offset={0: Surd(Fraction(0), Fraction(10) ** 400, Fraction(2))}),
        "identity of values that are not alike": replace(certificate, lumpings={**certificate.lumpings, name: "identity"}),
        "nothing": replace(certificate, lumpings={}),
    }


@pytest.mark.parametrize("which", list(hostile(smaller(3).certificate)))
def test_what_does_not_fit_the_networks_is_refused(which: str) -> None:
    result = smaller(3)
    with pytest.raises(CertificateError):
        related(hostile(result.certificate)[which], result.original.graph, result.network.graph)


def test_files_that_are_no_certificates_are_refused(tmp_path: Path) -> None:
    result = smaller(3)
    for text in ("", "{}", "[1, 2"):
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(LumpnetError):
            one_box(result, tmp_path / "c.json")
    with pytest.raises(LumpnetError):
        one_box(result, tmp_path / "not there")


def test_a_certificate_of_another_network_of_this_shape_bounds_too() -> None:
    one, two = smaller(3), near_twins(3)
    found = lumpnet.audit(one.original, one.network, domain=BOX, certificate=smaller(3).certificate, boxes=1, lossless=False)
    assert found.upper_bound is not None
    assert found.upper_bound >= found.lower_bound
    with pytest.raises(CertificateError):
        lumpnet.audit(one.original, one.network, domain=BOX, certificate=two.certificate, boxes=1, lossless=False)


def test_no_boxes_is_no_bound() -> None:
    result = smaller(3)
    found = lumpnet.audit(result.original, result.network, domain=BOX, boxes=0, lossless=False)
    assert (found.upper_bound, found.boxes) == (None, 0)
    assert found.lower_bound > 0
    assert "no box was asked for" in found.reason


def test_boxes_and_no_clock_give_the_same_numbers() -> None:
    result = smaller(4)
    options: dict[str, Any] = {"domain": BOX, "certificate": result.certificate, "timeout": math.inf, "jobs": 1, "lossless": False}
    one, two = (lumpnet.audit(result.original, result.network, boxes=60, **options) for _ in range(2))
    assert (one.upper_bound, one.lower_bound, one.boxes) == (two.upper_bound, two.lower_bound, two.boxes)
    fewer = lumpnet.audit(result.original, result.network, boxes=1, **options)
    assert fewer.boxes == 1
    assert (one.upper_bound or 0) <= (fewer.upper_bound or 0)
