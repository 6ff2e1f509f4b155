"""`python -m tests.check`: how many certificates and networks the tests hold that must be accepted or refused, counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "hostile")]


def collected(*paths: str) -> list[str]:
    """The names of the tests below these paths."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", *(str(HERE.parent / p) for p in paths)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def main() -> int:
    import hostile_files
    import test_refuses
    import test_refuses_conditions
    import test_refuses_recurrent
    from catalog import CASES

    tables = (test_refuses.FORGERIES, test_refuses_recurrent.FORGERIES, test_refuses_conditions.FORGERIES)
    forged, more = sum(map(len, tables)), collected("mutants/test_forgeries.py")
    traps = collected("traps")
    names = {line.split("::")[0] + line.split("::")[1].split("[")[0] for line in traps}
    print(f"{len(CASES)} certificates written by hand, one or more a rule, that must be accepted")
    print(f"{forged} forged certificates, each of which violates one condition and is refuted at it ({', '.join(str(len(t)) for t in tables)})")
    print(f"{len(more)} tests of forged triples beside them, judged by exact evaluation")
    print(f"{len(names)} named traps in {len(traps)} variants, lumped by the package and forged by hand")
    print(f"{len(hostile_files.NETWORK)} hostile network files and {len(hostile_files.CERTIFICATE)} hostile certificates")
    return 0


if __name__ == "__main__":
    sys.exit(main())
