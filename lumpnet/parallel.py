"""Independent tasks, done one after another or side by side: in processes of this machine, or on a cluster of dask or ray (joblib's backends)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from lumpnet.errors import LumpnetError

T = TypeVar("T")
R = TypeVar("R")
BACKENDS = ("loky", "dask", "ray")


def spread(function: Callable[[T], R], tasks: Sequence[T], jobs: int = 1, backend: str = "loky") -> Iterator[tuple[int, R]]:
    """(k, function(tasks[k])) in the order in which they get done.

    loky: `jobs` processes of this machine, or this one for 1. dask: the cluster of DASK_SCHEDULER_ADDRESS, or else `jobs` local workers; ray: that of
    RAY_ADDRESS, or else a local one with `jobs` processors. function is importable, tasks can be pickled. Whatever
    a task raises is raised here, and the others end. Numerical libraries keep to one thread in every task, so that
    the answers do not depend on where it runs. Raises `LumpnetError` for a backend that is not installed.
    """
    from joblib import Parallel, delayed

    if not tasks:
        return
    with _cluster(backend, jobs):
        calls = [delayed(_one)(function, k, task) for k, task in enumerate(tasks)]
        if backend == "ray":  # it answers whole lists only
            with Parallel(n_jobs=jobs, batch_size=1) as pool:
                for start in range(0, len(calls), jobs):
                    yield from pool(calls[start : start + jobs])
        else:
            most = min(jobs, len(tasks)) if backend == "loky" else -1
            yield from Parallel(n_jobs=most, return_as="generator_unordered", batch_size=1, pre_dispatch="all")(calls)


def _one(function: Callable[[T], R], k: int, task: T) -> tuple[int, R]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return k, function(task)


@contextmanager
def _cluster(backend: str, jobs: int) -> Iterator[None]:
    """What joblib's backend of this name needs while it works."""
    if backend not in BACKENDS:
        raise LumpnetError("backend", f"{backend!r}", f"one of {', '.join(BACKENDS)}", "loky, for processes of this machine")
    try:
        context = {"loky": lambda jobs: nullcontext(), "dask": _dask, "ray": _ray}[backend](jobs)
    except ModuleNotFoundError as error:
        raise LumpnetError(f"backend {backend}", f"the package {error.name} is not installed", "it", f"pip install 'lumpnet[{backend}]'") from error
    with context:
        from joblib import parallel_config

        with parallel_config(backend=backend):
            yield


def _dask(jobs: int) -> Any:
    from dask import config
    from distributed import Client

    if config.get("scheduler-address", None):
        return Client()
    return Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR)


def _ray(jobs: int) -> Any:
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    return _started(ray, None if os.environ.get("RAY_ADDRESS") else jobs)


@contextmanager
def _started(ray: Any, processors: int | None) -> Iterator[None]:
    mine = not ray.is_initialized()
    if mine:
        ray.init(num_cpus=processors, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        if mine:
            ray.shutdown()
