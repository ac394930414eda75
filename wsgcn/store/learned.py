"""What a training stage measured of its network, and what that means in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from wsgcn.store.files import read_json, reading
from wsgcn.store.paths import Artifacts


class Taught(NamedTuple):
    """The network of a training stage: what it is, what it is measured on, and what follows where it knows nothing."""

    network: str
    cases: str
    consequence: str


NETWORKS = {
    "cams-train": Taught("classifier", "tags", "its CAMs show nothing, nor will any labels made of them"),
    "affinity-train": Taught("affinity network", "pairs of cells", "its labels will be worse than the CAMs"),
    "segtrain": Taught("segmentation network", "pixels", "it does not know the pseudo labels that it was shown"),
}
"""By training stage."""

LEAST = 0.25
"""How far from chance (0) to faultless (1) a balanced accuracy must be for the network to count as trained."""


def read_learned(artifacts: Artifacts, stage: str, name: str) -> dict[str, Any]:
    """The numbers of a network by name; empty where it was imported, or where nobody measured it.

    Raises:
        DataError: the file is broken.
    """
    path = artifacts.learned(stage, name)
    record = read_json(path) if path.exists() else {}
    if record == {}:
        return {}
    with reading(path, "holds no measurement", f"run `wsgcn {stage}` again"):
        check_measurement(record)
    return record


def check_measurement(record: Any) -> None:
    """Refuse what is no measurement of a network.

    Raises:
        Exception: one of :data:`~wsgcn.store.files.BROKEN`.
    """
    shares = [float(record[name]) for name in ("balanced_accuracy", "chance")]
    counts = [record[name] for name in ("photographs", "kept", "updates")]
    if not all(0 <= one <= 1 for one in shares) or not all(isinstance(one, int) and one >= 0 for one in counts):
        raise ValueError("a share that is none, or a count")
    if not isinstance(record["held_out"], bool):
        raise ValueError("held_out must be true or false")


def measured_networks(artifacts: Artifacts, stages: Iterable[str], name: str) -> dict[str, dict[str, Any]]:
    """The numbers of those networks that were measured, by training stage."""
    records = {stage: read_learned(artifacts, stage, name) for stage in stages}
    return {stage: record for stage, record in records.items() if record}


def sentence(stage: str, name: str, record: Mapping[str, Any]) -> str:
    """How well a network knows what it was taught."""
    taught, held_out = NETWORKS[stage], "held-out" if record["held_out"] else "training"
    return (
        f"{stage} {name}: balanced accuracy {100 * record['balanced_accuracy']:.1f} % (chance "
        f"{100 * record['chance']:.1f} %) on {taught.cases} of {record['photographs']} {held_out} photographs, "
        f"after {record['kept']} of {record['updates']} updates."
    )


def untaught(stage: str, name: str, record: Mapping[str, Any]) -> str | None:
    """What to expect of a network that is hardly better than chance; None of any other."""
    accuracy, chance = record["balanced_accuracy"], record["chance"]
    if accuracy - chance >= LEAST * (1 - chance):
        return None
    taught, held_out = NETWORKS[stage], "held-out" if record["held_out"] else "training"
    return (
        f"the {taught.network} of {name} is hardly better than chance on {held_out} {taught.cases} "
        f"({100 * accuracy:.1f} %, chance {100 * chance:.1f} %): {taught.consequence}. "
        "Give it more photographs, more updates or another rate."
    )
