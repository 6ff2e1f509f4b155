"""Peak memory of this process, phase by phase."""

from __future__ import annotations

import resource
from pathlib import Path


def forget() -> None:
    """Let the peak begin anew, where the system allows."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> int:
    """MiB of resident memory at most since `forget`, or since the start of the process."""
    try:
        return next(int(line.split()[1]) // 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def resident() -> int:
    """MiB of resident memory now."""
    forget()
    return peak()
