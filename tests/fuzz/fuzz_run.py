"""The process that fuzzes, guided by coverage: `fuzz_run.py READER FOLDER SECONDS SEED`. It needs atheris."""

from __future__ import annotations

import random
import sys
from importlib import import_module
from pathlib import Path

import atheris
from fuzz_judge import Judge, limit

LONGEST = 1 << 16
MODULES = {
    "certificate": ["lumpnet.certificate"],
    "network": ["lumpnet.ir", "lumpnet.check.graph", "lumpnet.check.rules"],
    "onnx": ["lumpnet.lift.onnx"],
    "pt2": ["lumpnet.lift.pt2.rehearsal", "lumpnet.lift.pt2.replay"],
}
"""What is watched for coverage."""


def main() -> None:
    name, folder, seconds, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    with atheris.instrument_imports(include=["lumpnet"]):
        for module in MODULES[name]:
            import_module(module)
    from fuzz_readers import READERS, bent

    reader, corpus = READERS[name], folder / "corpus"
    corpus.mkdir(exist_ok=True)
    judge = Judge(reader.read, folder)
    for k, data in enumerate(reader.seeds(random.Random(seed))):
        (corpus / f"seed-{k}").write_bytes(data)
        judge(data)
    if judge.good < judge.count * 0.8:
        raise SystemExit(f"only {judge.good} of {judge.count} files to begin with are read")
    limit()

    def mutated(data: bytes, longest: int, at: int) -> bytes:
        rng = random.Random(at)
        new = bent(reader, data, rng) if rng.random() < 0.7 else None
        return new if new is not None and len(new) <= longest else atheris.Mutate(data, longest)

    options = {"max_total_time": seconds, "seed": seed % (1 << 31) or 1, "rss_limit_mb": 0, "max_len": LONGEST, "print_final_stats": 1}
    options |= {"timeout": 600, "report_slow_units": 600}  # of the wall: the judge knows what the reader itself takes
    arguments = [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), f"-artifact_prefix={folder}/died-", str(corpus)]
    atheris.Setup(arguments, judge, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
