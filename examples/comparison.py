"""How do pruners' approximations differ? Every method of lumpnet on the same trained networks, at the same sizes, each audited over all images.

    python examples/comparison.py [--out FOLDER] [--picture examples/comparison.png] [--jobs 2]

Trains a perceptron and a CNN on scikit-learn's bundled 8x8 digits (needs scikit-learn), and lets every pruning method of
`lumpnet.pruners.available()` keep 75, 50 and 25 % of the units (or of the weights, for methods that drop weights), beside
relaxed lumping at these sizes and exact lumping. Of each: the hidden units left; how far any output can be off on any image with pixels
between 0 and 1 (certified), how far one is at some input (attained), and on the test images (measured); the accuracy lost there; seconds;
whether it looks at data; and what became of the units, as measured along the lumping that relates both
networks. An interrupted run goes on where it ended, from FOLDER.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import torch
from relaxed_sizes import NETWORKS, digits, trained

import lumpnet
from lumpnet.figures import above, below
from lumpnet.pruners import available, get
from lumpnet.sweeping import RELAXED, Candidate, Sweep

SIZES = (0.75, 0.5, 0.25)


def rows(found: Sweep) -> list[str]:
    """The table of one network, in Markdown."""
    lines = [f"exact lumping alone: {found.candidates[0].units} of {found.original.size.units} hidden units; accuracy {found.accuracy or 0:.1%}", ""]
    lines += ["| method | data | kept | units | parameters | certified | attained | measured | accuracy lost | seconds | what became of the units |"]
    lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
    return lines + [row(c, found.accuracy or 0.0) for c in found.candidates if c.size < 1]


def row(c: Candidate, accuracy: float) -> str:
    needs = "" if c.method == RELAXED else ", ".join(get(c.method).needs)
    name = "relaxed lumping" if c.method == RELAXED else c.method
    bound, lost = "none" if c.certified is None else above(c.certified), 100 * (accuracy - (c.accuracy or 0.0))
    numbers = f"{c.size:.0%} | {c.units} | {c.parameters:,} | {bound} | {below(c.attained)} | {c.measured or 0.0:.3g} | {lost:.1f} | {c.making:.3g}"
    return f"| {name} | {needs or 'none'} | {numbers} | {c.reason or c.relation} |"


def picture(page: Path, target: Path, height: int) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size=760,{height}", "--force-device-scale-factor=0.8"]
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run([*command, f"--user-data-dir={profile}", f"--screenshot={target.resolve()}", page.resolve().as_uri()], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "lumpnet-comparison")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES)
    parser.add_argument("--methods", nargs="+", default=[RELAXED, *available()])
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="PNG: the perceptron's report as chromium draws it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    x, y, test, truth = digits()
    for name in options.network:
        network = lumpnet.lift(trained(name, options.seed, x, y, options.epochs), test[:2])
        found = lumpnet.sweep(
            network,
            domain=lumpnet.Box(0, 1),
            sizes=(1, *options.sizes),
            methods=[RELAXED, *(method for method in options.methods if method != RELAXED)],
            data=(test, truth),
            train=(x, y),
            seed=options.seed,
            boxes={"mlp": 500, "cnn": 1}[name],
            jobs=options.jobs,
            out=options.out / f"{name}.json",
            progress=lambda text, name=name: print(f"\r{name}: {text}   ", end="", flush=True),
        )
        page = options.out / f"{name}.html"
        found.save_report(page)
        print(f"\n\n{name}: {rows(found)[0]}\n", *rows(found)[2:], f"\nreport: {page}", sep="\n", flush=True)
        if options.picture and name == options.network[0]:
            picture(page, options.picture, 1530)
            print(f"wrote {options.picture}")


if __name__ == "__main__":
    main()
