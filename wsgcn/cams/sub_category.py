"""CAM source ``sub-category``: a classifier that must also tell apart what it finds within each class, as in SC-CAM."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from wsgcn.cams.learned import ClassifierTraining, LearnedCams
from wsgcn.ranges import Between, Factor
from wsgcn.sections import Outside, Steps, step_count

if TYPE_CHECKING:
    from wsgcn.cams.net import CamNet
    from wsgcn.training.descent import TrainingLoss
    from wsgcn.training.job import TrainingJob


class SubCategoryTraining(ClassifierTraining):
    """What decides the classifier.

    ``first`` is a classifier, a file of ``wsgcn weights import`` or a checkpoint of another CAM source, by whose
    features the first round finds sub-categories; where it is None, one of the classes alone is trained for that, with
    all ``steps``. ``clusters`` are the sub-categories of each class, and ``sub_category_weight`` is what their loss
    counts beside that of the classes. ``rounds`` says of each round after how much of ``steps``, which the learning
    rates follow, its network is taken; none is longer.
    """

    first: Annotated[str | None, Outside]
    clusters: Annotated[int, Between(1, 1000)]
    sub_category_weight: Factor
    rounds: Annotated[tuple[Steps, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rounds_end_within_the_steps(self) -> SubCategoryTraining:
        alike = [one for one in self.rounds if type(one) is type(self.steps)]  # updates, or epochs
        if too_long := self.longer_than_steps(self.batch, alike):
            raise ValueError(too_long)
        return self

    def longer_than_steps(self, photographs: int, rounds: Iterable[int | str]) -> str | None:
        """What to say of a round that is longer than ``steps``, if one is; the photographs make epochs into updates."""
        length = step_count(self.steps, photographs, self.batch)
        long = [one for one in rounds if step_count(one, photographs, self.batch) > length]
        return f"rounds: {long[0]} is longer than steps: {self.steps}" if long else None

    def files(self) -> tuple[str, ...]:
        """The first classifier too."""
        return (*super().files(), *([] if self.first is None else [self.first]))


class SubCategory(LearnedCams):
    """Rounds of clustering the photographs of each class by a network's features, and training a new network on it.

    The network of the last round is kept, without the layer that tells sub-categories: the CAMs are those of the
    classes.

    Source: Chang et al., "Weakly-Supervised Semantic Segmentation via Sub-category Exploration" (CVPR 2020).
    """

    kind: Literal["sub-category"]
    train: SubCategoryTraining

    def loss(self, net: CamNet) -> TrainingLoss:
        """The cross-entropy of the classes, and that of the sub-categories."""
        from wsgcn.cams.sub_category_fit import SubCategoryLoss

        return SubCategoryLoss(net, self.train)

    def learn(self, job: TrainingJob, after: Path) -> None:
        """Train the networks of all rounds."""
        from wsgcn.cams.learn import learn_cams
        from wsgcn.cams.sub_category_fit import fit_rounds

        learn_cams(self, job, fit_rounds)
