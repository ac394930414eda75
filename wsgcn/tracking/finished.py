"""The runs that MLflow holds completely: found, and compared with the project's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgcn.runtime.progress import Warn
from wsgcn.tracking.connection import connect, experiment_id, giving_up, is_away
from wsgcn.tracking.parameters import flat_params, without
from wsgcn.tracking.recorded import RECORDED
from wsgcn.tracking.run import SUPERSEDED

if TYPE_CHECKING:
    from wsgcn.params import Params

PLACEHOLDERS = ("propagation", "segtrain")
"""Sections whose entry of a run's method a name in braces stands for."""


class FinishedRun(NamedTuple):
    """What a complete run holds.

    Attributes:
        method: the method's name.
        params: its parameters, as :func:`~wsgcn.tracking.parameters.flat_params`.
        metrics: its numbers by name.
    """

    method: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def finished_runs(params: Params, warn: Warn) -> list[FinishedRun]:
    """Every complete run of the experiment, the newest first; none where the store is away.

    A run whose labels are complete counts also while a network is being trained, and where that training has failed.
    """
    if is_away(params):
        return []
    runs: list[Any] = []
    with giving_up(params, warn):
        client = connect(params.tracking.uri)
        experiment = experiment_id(client, params.tracking.experiment)
        runs = client.search_runs([experiment], f"tags.{RECORDED} != ''", max_results=1000)
    return [
        FinishedRun(run.data.tags["method"], run.data.params, run.data.metrics)
        for run in runs
        if SUPERSEDED not in run.data.tags
    ]


def differing_only_in(runs: Iterable[FinishedRun], params: Params, names: Sequence[str]) -> list[FinishedRun]:
    """The runs that have the project's parameters for their method, but for those that are named.

    Args:
        runs: of any methods; a method that the project does not have is left out.
        params: the whole of ``params.yaml``.
        names: beginnings of dotted names that may differ; ``{propagation}`` and ``{segtrain}`` in one stand for the
            entries that the run's method uses, as in ``propagate.{propagation}.lr``.
    """
    wanted = {method.name: flat_params(params, method) for method in params.all_methods()}
    return [run for run in runs if run.method in wanted and _alike(run.params, wanted[run.method], names)]


def _alike(found: Mapping[str, str], wanted: Mapping[str, str], names: Sequence[str]) -> bool:
    entries = {section: found.get(f"method.{section}", "") for section in PLACEHOLDERS}
    beginnings = [name.format_map(entries) for name in names]
    return without(found, beginnings) == without(wanted, beginnings)
