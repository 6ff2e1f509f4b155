"""The command line. Exit codes: 0 the claim holds, 1 refuted, 2 unreadable input or usage, 3 unknown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from lumpnet import __version__
from lumpnet.cli.console import failing_politely

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Makes neural networks smaller and proves that nothing changed.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict line only.")]
Weights = Annotated[Optional[Path], typer.Option("--weights", help="For MODEL = package.module:factory: its weights, a .safetensors file.")]  # noqa: UP045
Shapes = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--input-shape", help="For MODEL = package.module:factory: the shape of one example (3,32,32 or 16:int64); once for every input."),
]
DomainText = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--domain",
        help="LO:HI, FILE.json, FILE.vnnlib or ball:CENTER.npy:RADIUS[:LO:HI]: how far apart rounded weights and floating point can take the networks there.",
    ),
]
Report = Annotated[Optional[Path], typer.Option("--report", help="FILE.html: what was found, with pictures, for people.")]  # noqa: UP045
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]


class Require(StrEnum):
    exact = "exact"
    nearest = "nearest"


class Dtype(StrEnum):
    float32 = "float32"
    float64 = "float64"


class Backend(StrEnum):
    loky = "loky"
    dask = "dask"
    ray = "ray"


def _version(show: bool) -> None:
    if show:
        print(f"lumpnet {__version__}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Makes neural networks smaller and proves that nothing changed."""


@app.command()
def demo(json: Json = False, quiet: Quiet = False) -> None:
    """The main job on an embedded network, in seconds; no files needed."""
    from lumpnet.cli.demo import demo as run

    with failing_politely():
        raise typer.Exit(run(json=json, quiet=quiet))


@app.command()
def show(model: Path, weights: Weights = None, input_shape: Shapes = None, json: Json = False) -> None:
    """What lumpnet sees: operators, units, coupled groups, what pins what, folded parameters."""
    from lumpnet.cli.model import Given

    with failing_politely():
        given = Given(str(model), weights, input_shape or []).begun()
        from lumpnet.cli.show import show as run

        raise typer.Exit(run(given, json=json))


@app.command()
def reduce(
    model: Path,
    out: Annotated[Path, typer.Option("-o", "--out", help="The reduced network file.")],
    certificate: Annotated[Optional[Path], typer.Option(help="The certificate (default: OUT.cert.json).")] = None,  # noqa: UP045
    require: Annotated[Require, typer.Option(help="exact: decline merges whose weights would be rounded.")] = Require.nearest,
    dtype: Annotated[Optional[Dtype], typer.Option(help="Type of the emitted weights (default: as stored).")] = None,  # noqa: UP045
    domain: DomainText = None,
    tolerance: Annotated[Optional[float], typer.Option(help="Merge what is nearly redundant: units that change by at most this share.")] = None,  # noqa: UP045
    budget: Annotated[Optional[float], typer.Option(help="Merge as long as no output is certified to change by more than this.")] = None,  # noqa: UP045
    size: Annotated[Optional[float], typer.Option(help="Merge until at most this share of the hidden units is left.")] = None,  # noqa: UP045
    report: Report = None,
    weights: Weights = None,
    input_shape: Shapes = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove what exact lumping can remove, or, as far as you allow, what is nearly redundant; write the smaller network and its certificate."""
    from lumpnet.cli.model import Given

    with failing_politely():
        given = Given(str(model), weights, input_shape or []).begun()
        from lumpnet.cli.reduce import reduce as run

        near = {"tolerance": tolerance, "budget": budget, "size": size}
        raise typer.Exit(
            run(given, out, certificate, require.value, dtype.value if dtype else None, domain, near, report, json=json, quiet=quiet, verbose=verbose)
        )


@app.command()
def audit(
    model: Path,
    other: Path,
    domain: Annotated[str, typer.Option("--domain", help="LO:HI, FILE.json, FILE.vnnlib or ball:CENTER.npy:RADIUS[:LO:HI]: the inputs in question.")],
    epsilon: Annotated[Optional[float], typer.Option(help="Certify or refute that no output differs by more than this.")] = None,  # noqa: UP045
    top1: Annotated[bool, typer.Option("--top1", help="Certify or refute that the predicted class never changes.")] = False,
    data: Annotated[Optional[Path], typer.Option(help="X.npy, examples: what they show is told as well.")] = None,  # noqa: UP045
    timeout: Annotated[float, typer.Option(help="Seconds to search for.")] = 60.0,
    certificate: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Of the reduction that made OTHER: bounds along its relation are closer. It is not believed."),
    ] = None,
    report: Report = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How far OTHER can be from MODEL on a domain: certified above, attained below."""
    from lumpnet.cli.audit import audit as run

    with failing_politely():
        raise typer.Exit(run(model, other, domain, epsilon, top1, data, timeout, certificate, report, json=json, quiet=quiet))


@app.command()
def check(
    original: Path,
    reduced: Path,
    certificate: Path,
    smt: Annotated[bool, typer.Option("--smt", help="Ask Z3 for a second opinion.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accept or reject a certificate, in exact arithmetic, from the files alone."""
    from lumpnet.cli.check import check as run

    with failing_politely():
        raise typer.Exit(run(original, reduced, certificate, smt=smt, json=json, quiet=quiet))


@app.command()
def prune(
    model: Path,
    method: Annotated[str, typer.Option(help="The pruning method; a wrong name lists all.")],
    keep: Annotated[float, typer.Option(help="The share of units (or weights) that stay, layer by layer, rounded up.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The pruned network file.")],
    data: Annotated[Path | None, typer.Option(help="For methods that look at examples: X.npy, or FILE.npz with arrays by input name and labels.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of whatever the method draws.")] = 0,
    option: Annotated[Optional[list[str]], typer.Option(help="An option of the method, NAME=VALUE; may be repeated.")] = None,  # noqa: UP045
    weights: Weights = None,
    input_shape: Shapes = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prune by a method of the literature, and remove exactly what that made redundant; the function changes."""
    from lumpnet.cli.model import Given

    with failing_politely():
        given = Given(str(model), weights, input_shape or []).begun()
        from lumpnet.cli.prune import prune as run

        raise typer.Exit(run(given, method, keep, data, seed, option or [], out, json=json, quiet=quiet))


@app.command()
def sweep(
    model: Path,
    domain: Annotated[str, typer.Option("--domain", help="LO:HI, FILE.json, FILE.vnnlib or ball:CENTER.npy:RADIUS[:LO:HI]: the inputs in question.")],
    sizes: Annotated[Optional[str], typer.Option(help="Shares of the hidden units to keep, between commas (1,0.9,0.75,0.6,0.45,0.3).")] = None,  # noqa: UP045
    method: Annotated[Optional[list[str]], typer.Option(help="relaxed, or a pruning method; may be repeated (relaxed).")] = None,  # noqa: UP045
    layers: Annotated[bool, typer.Option("--layers", help="Besides, every layer alone.")] = False,
    data: Annotated[Optional[Path], typer.Option(help="X.npy, or FILE.npz with arrays by input name and labels: what changes there.")] = None,  # noqa: UP045
    train: Annotated[Optional[Path], typer.Option(help="For methods that look at examples, if not --data.")] = None,  # noqa: UP045
    boxes: Annotated[int, typer.Option(min=0, help="Boxes that each audit may bound: more take longer and bound closer.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The seed of whatever is drawn.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Candidates at once.")] = 1,
    backend: Annotated[Backend, typer.Option(help="Where they are made: processes here, or a cluster of dask or ray.")] = Backend.loky,
    out: Annotated[Optional[Path], typer.Option("-o", "--out", help="FILE.json: written after each candidate; an interrupted sweep goes on.")] = None,  # noqa: UP045
    report: Report = None,
    weights: Weights = None,
    input_shape: Shapes = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Size against deviation: what each size costs, certified above, attained below, measured on data."""
    from lumpnet.cli.model import Given

    with failing_politely():
        given = Given(str(model), weights, input_shape or []).begun()
        from lumpnet.cli.sweep import sweep as run

        raise typer.Exit(run(given, domain, sizes, method or [], layers, data, train, boxes, seed, jobs, backend.value, out, report, json=json, quiet=quiet))
