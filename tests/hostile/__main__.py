"""What refusing a hostile file costs: `python -m tests.hostile` prints seconds (wall, processor) and memory for each, as a user meets them.

Every file is given to `lumpnet show` in a process of its own. Memory is the
largest resident set of that process and its children beyond the file's size.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

SECONDS, MEBIBYTES = 2.0, 512.0


def main() -> int:
    import hostile_onnx
    import hostile_pt2
    from foreign import show

    kinds = {".pt2": hostile_pt2.files(), ".onnx": hostile_onnx.files()}
    worst_time, worst_processor, worst_memory, failures, count = 0.0, 0.0, 0.0, 0, 0
    for suffix, files in kinds.items():
        for name, data in files.items():
            run = show(suffix, data)
            kept = run.code == 2 and not run.left and run.seconds <= SECONDS and run.memory <= MEBIBYTES
            cost = f"{run.seconds:6.2f} s {run.processor:6.2f} s {run.memory:7.1f} MiB"
            print(f"{suffix:6} {cost}  exit {run.code}  {name}{'' if kept else '  <-- beyond the bounds'}", flush=True)
            worst_time, worst_processor = max(worst_time, run.seconds), max(worst_processor, run.processor)
            worst_memory = max(worst_memory, run.memory)
            failures, count = failures + (not kept), count + 1
    print(f"{count} files, {count - failures} refused within {SECONDS} s and {MEBIBYTES} MiB; ", end="")
    print(f"at worst {worst_time:.2f} s, {worst_processor:.2f} s of processor time, {worst_memory:.1f} MiB")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
