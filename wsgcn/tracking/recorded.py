"""Which files the runs of MLflow hold completely, and whether those on disk are of other parameters than today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsgcn.tracking.connection import connect, experiment_id
from wsgcn.tracking.contents import LABELS, NETWORK
from wsgcn.tracking.parameters import flat_params, without

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

RECORDED = "recorded"
"""Tag with the digest of the files that the run holds completely, for each part: ``labels=… network=…``."""

NO_PART_OF = {
    LABELS: ("evaluate.seg_", "dataset.val_split"),
    NETWORK: ("evaluate.cam_background", "dataset.score_split"),
}
"""Beginnings of the parameters that do not decide a part: its files stay as they are when one of them changes."""


def no_part_of(part: str, params: Params, method: Method) -> tuple[str, ...]:
    """:data:`NO_PART_OF`, and for the labels of a first round, which no network decides, section ``segtrain``."""
    first_labels = part == LABELS and not params.earlier(method)
    return (*NO_PART_OF[part], *(["segtrain.", "method.segtrain"] if first_labels else []))


def recorded_parts(tags: Mapping[str, str]) -> dict[str, str]:
    """Digest of the files that a run holds completely, by part; none of a tag that another version wrote."""
    words = tags.get(RECORDED, "").split()
    return {part: digest for part, _, digest in (word.partition("=") for word in words) if digest}


def parts_of_others(params: Params, method: Method, digests: Mapping[str, str]) -> tuple[str, ...]:
    """The parts whose files are known, but only to runs of this method with other parameters.

    What lies on disk may be older than ``params.yaml``: ``dvc exp run`` with a changed parameter may have made the
    labels again and left the network, which is then still that of the parameters before.

    Args:
        params: the whole of ``params.yaml``.
        method: whose files.
        digests: of the files on disk, by part, as :func:`~wsgcn.tracking.contents.digest_of`.

    Raises:
        Exception: one of :func:`~wsgcn.tracking.connection.troubles`.
    """
    client = connect(params.tracking.uri)
    experiment = experiment_id(client, params.tracking.experiment)
    runs = client.search_runs([experiment], f"tags.{RECORDED} != ''", max_results=1000)
    own = [run.data for run in runs if run.data.tags.get("method") == method.name]
    wanted = flat_params(params, method)

    def is_of_others(part: str) -> bool:
        holders = [run.params for run in own if recorded_parts(run.tags).get(part) == digests[part]]
        ignored = no_part_of(part, params, method)
        alike = [one for one in holders if without(one, ignored) == without(wanted, ignored)]
        return bool(holders) and not alike

    return tuple(part for part in digests if is_of_others(part))
