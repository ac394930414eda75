"""A project of one's own photographs: looked at, put into lists, and named as ``params.yaml`` wants them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from wsgcn.dataset.survey import Survey, survey
from wsgcn.dataset.tags import IMAGE, LABELS, SPLITS, table_rows
from wsgcn.preset import PHOTOGRAPHS, OwnPhotographs, preset_seed
from wsgcn.store.photos import find_photographs

BACKGROUND_NAME = "background"


def look_at(images: Path, labels: Path | None, masks: Path | None, preset: str) -> Survey:
    """Survey of a folder of photographs, as :func:`~wsgcn.dataset.survey.survey` makes it.

    Raises:
        DataError: there are no photographs, or their tags cannot be read.
    """
    return survey(images, labels, masks, BACKGROUND_NAME, preset_seed(preset))


def own_photographs(images: Path, masks: Path | None, found: Survey, copy: bool) -> OwnPhotographs:
    """What a project is made of.

    Args:
        images: folder of the photographs.
        masks: folder of masks; None where there are none.
        found: survey of the folder, without problems.
        copy: the project gets a copy of each photograph instead of the folder's name.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow((IMAGE, LABELS, SPLITS))
    rows.writerows(table_rows(found.photographs))
    copies = {}
    if copy:
        paths = find_photographs(images)
        copies = {paths[one.image]: images / paths[one.image] for one in found.photographs}
    return OwnPhotographs(
        root=PHOTOGRAPHS if copy else images.resolve(),
        name=images.resolve().name,
        classes=found.classes,
        scored=found.scored,
        masks=masks and masks.resolve(),
        table=text.getvalue(),
        copies=copies,
    )
