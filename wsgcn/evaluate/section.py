"""Section ``evaluate`` of ``params.yaml``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from wsgcn.ranges import Between, Scales
from wsgcn.sections import Backgrounds, Crf, Section, SegMerge


class Evaluate(Section):
    """What is scored and drawn, and how photographs are segmented."""

    masks: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    cam_background: Backgrounds
    seg_scales: Scales
    seg_flip: bool
    seg_merge: SegMerge
    seg_crf: Crf
    panels: Annotated[int, Between(0, 1000)]

    @property
    def segmentation(self) -> dict[str, Any]:
        """How photographs are segmented, as JSON knows it: ``scales``, ``flip``, ``merge``, ``crf``."""
        return {
            "scales": list(self.seg_scales),
            "flip": self.seg_flip,
            "merge": self.seg_merge,
            "crf": self.seg_crf.model_dump(mode="json"),
        }

    def background_of(self, cams_name: str) -> float:
        """The constant background score that turns the raw CAMs of a source into labels."""
        return self.cam_background[cams_name] if isinstance(self.cam_background, dict) else self.cam_background
