"""What both pages hold, and the words around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsgcn.report.differences import Difference, difference_table
from wsgcn.report.photographs import Group
from wsgcn.report.results import MethodResult, Picture
from wsgcn.report.table import (
    Table,
    best_thresholds,
    coverage,
    has_numbers,
    losses,
    networks,
    partial_label_table,
    per_class,
)

TITLE = "From image-level labels to pixel-wise labels"
READING = "mIoU in percent, the best of each column bold. Seconds an image: propagation and CRF together."
PER_CLASS_NOTE = "IoU in percent, the best of each row bold; – where a class is neither in the truth nor predicted."
PARTIAL_NOTE = (
    "The confident grid cells that the propagation learns from, in percent: their share among all scored cells, "
    "and how many of them have the right class."
)
LOSS_NOTE = "At the end of learning, mean over the photographs."
NETWORKS_NOTE = (
    "In percent: the mean share of right answers, of photographs with a class and without (classifier), of pairs of "
    "equal and of different cells (affinity network), of the pixels of each class (segmentation network, measured "
    "against pseudo labels). Chance is what a network that knows nothing has."
)
DIFFERENCES_NOTE = (
    "mIoU of the first method's pseudo labels less that of the second's, in points before rounding. 95 % of 1,000 "
    "draws of the scored photographs, the same for both methods, lie within an interval; bold where 0 does not. "
    "Intervals know nothing of what other seeds of the trainings would change."
)
THRESHOLDS_NOTE = (
    "mIoU in percent as set in params.yaml, and with the best of the backgrounds 0.05, 0.10, … 0.95, chosen on the "
    "masks that score it. A background that walks along is multiplied by t / (1 − t): 0.50 is the walk as it is."
)
COVERAGE_NOTE = "Pixels that have a label, in percent."
HISTOGRAM_NOTE = (
    "How many photographs ended with which loss; the dashed line is their mean. The last bar has the 1 % with the "
    "largest losses."
)
AGREEMENT_NOTE = "Pixels that two methods give the same label after the CRF, in percent; no label is a label too."
CONFUSION_NOTE = (
    "Of each class's pixels, the percent that got a label after the CRF; the darker, the more. Labels that no class "
    "has on half a percent of its pixels have no column."
)
PHOTOGRAPHS_NOTE = "Labels after the CRF over the photograph, dark is background."
SCORED_NOTE = (
    "Numbers are the mIoU of the photograph in percent, over the classes that it shows or was given. “All steps” has "
    "the truth beside them, as has wsgcn show ID --method NAME for any photograph."
)
UNSCORED_NOTE = "Numbers are the pixels to which the two methods give different labels."
PAPER_TITLE = "The paper's tables"
PANELS_NOTE = "The same photograph with each method; dark is background."

Gallery = dict[str, list[tuple[str, Picture]]]
"""By photograph, the panel of each method that has one."""


@dataclass(frozen=True)
class Content:
    """All that the pages are made of.

    Attributes:
        results: the methods that were evaluated.
        paper: those of the paper's tables that are shown.
        missing: names of the methods that were not evaluated.
        differences: between the labels of two methods.
        photographs: those that are worth a look.
        agreement: of the labels of every two methods; None where they are scored.
    """

    results: Sequence[MethodResult]
    paper: Sequence[Table] = ()
    missing: Sequence[str] = ()
    differences: Sequence[Difference] = ()
    photographs: Sequence[Group] = ()
    agreement: Table | None = None

    @property
    def pseudo_gallery(self) -> Gallery:
        """Panels of the pseudo labels."""
        return _gallery([(one.name, one.panels) for one in self.results])

    @property
    def val_gallery(self) -> Gallery:
        """Panels of the segmentation networks."""
        return _gallery([(one.name, one.val_panels) for one in self.results])

    @property
    def photographs_note(self) -> str:
        """How to read the photographs and their numbers."""
        return f"{PHOTOGRAPHS_NOTE} {SCORED_NOTE if self.agreement is None else UNSCORED_NOTE}"

    @property
    def per_class(self) -> list[Table]:
        """IoU by class, of what is scored."""
        return [table for table in per_class(self.results) if has_numbers(table)]

    @property
    def optional(self) -> dict[str, tuple[Table, str]]:
        """By a short word, table and note of what only some methods have, or only some datasets."""
        tables = (
            ("differences", difference_table(self.differences, self.results), DIFFERENCES_NOTE),
            ("thresholds", best_thresholds(self.results), THRESHOLDS_NOTE),
            ("coverage", coverage(self.results), COVERAGE_NOTE),
            ("agreement", self.agreement, AGREEMENT_NOTE),
            ("partial", partial_label_table(self.results), PARTIAL_NOTE),
            ("networks", networks(self.results), NETWORKS_NOTE),
            ("losses", losses(self.results), LOSS_NOTE),
        )
        return {word: (table, note) for word, table, note in tables if table and has_numbers(table)}


def _gallery(by_method: Sequence[tuple[str, Mapping[str, Picture]]]) -> Gallery:
    ids = sorted({image_id for _, panels in by_method for image_id in panels})
    return {one: [(name, panels[one]) for name, panels in by_method if one in panels] for one in ids}
