"""One fresh seed a run, printed in the header; LUMPNET_SEED=N repeats a run."""

from __future__ import annotations

import os
import secrets

import numpy as np
import pytest


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("LUMPNET_SEED", str(secrets.randbelow(2**31)))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: LUMPNET_SEED={os.environ['LUMPNET_SEED']} repeats this run"


@pytest.fixture
def seed() -> int:
    return int(os.environ["LUMPNET_SEED"])


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
