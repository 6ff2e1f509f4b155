"""A report that people can read: the digits network that ships with lumpnet against itself with a third of its units pruned, on all inputs near one image.

    python examples/report.py [--out report.html] [--seconds 10] [--picture report.png]

The picture in the README is made by `python examples/report.py --picture examples/report.png`, with Debian's chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from safetensors.numpy import load_file

import lumpnet

CLI = Path(lumpnet.__file__).parent / "cli"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "report.html")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--picture", type=Path, help="PNG: the top of the report as chromium draws it")
    options = parser.parse_args()

    original = lumpnet.Network.load(CLI / "demo.safetensors")
    pruned = lumpnet.prune(original, method="magnitude", keep=0.65).network
    images = load_file(CLI / "demo_images.safetensors")["images"] / 16.0
    near = lumpnet.Box((images[0] - 0.02).clip(0, 1), (images[0] + 0.02).clip(0, 1))
    audit = lumpnet.audit(original, pruned, domain=near, data=images, timeout=options.seconds)
    audit.save_report(options.out, names=("digits.safetensors", "pruned.safetensors"))
    print(f"{audit.line()}\nwrote {options.out}")

    if options.picture:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,1580", "--force-device-scale-factor=0.7"]
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run([*command, f"--user-data-dir={profile}", f"--screenshot={options.picture.resolve()}", options.out.resolve().as_uri()], check=True)
        print(f"wrote {options.picture}")


if __name__ == "__main__":
    main()
