"""``params.yaml`` as frozen, typed records: one class a section, no default value anywhere.

Units and sources stand beside each number in ``params.yaml``, the one place where it lives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wsgcn.errors import UsageError
from wsgcn.vocabulary import VARIANTS, Variant

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0)]
Size = Annotated[float, Field(gt=0)]
Range = tuple[Size, Size]
Backbone = Literal[
    "resnet-small",
    "mobilenet-v2",
    "resnet-50",
    "resnet-50-irnet",
    "resnet-101",
    "resnet-101-caffe",
    "resnet-38",
    "drn-d-105",
]


class Section(BaseModel):
    """A section of ``params.yaml``: every key must be there and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Runtime(Section):
    """Seed, devices, precision and worker processes."""

    seed: Count
    device: str
    devices: Positive
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    workers: Count


class Tracking(Section):
    """Where MLflow keeps its runs."""

    uri: str
    experiment: str


class Demo(Section):
    """The demo dataset's size and seed."""

    train_images: Positive
    val_images: Positive
    height: Annotated[int, Field(ge=48)]
    width: Annotated[int, Field(ge=48)]
    seed: Count


class Dataset(Section):
    """The raw dataset: folder, classes, splits."""

    name: str
    root: str
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=255)]
    train_split: str
    score_split: str
    val_split: str
    demo: Demo | None

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> Dataset:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes holds a name twice")
        return self


class Crf(Section):
    """One use of the dense CRF: pixels, grey levels of 0 … 255."""

    iterations: Count
    gaussian_sxy: Size
    gaussian_compat: Factor
    bilateral_sxy: Size
    bilateral_srgb: Size
    bilateral_compat: Factor


class SgdTraining(Section):
    """What every training by SGD with a poly schedule has."""

    batch: Positive
    crop: Annotated[int, Field(ge=32)]
    lr: Size
    momentum: Fraction
    weight_decay: Factor
    poly_power: Factor


class Jitter(Section):
    """Random changes of colour: each factor is drawn from 1 ± its number, hue from ± its share of the circle."""

    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Field(ge=0, le=0.5)]


class CamsTraining(SgdTraining):
    """Training of the multi-label classifier; exactly one of ``scale`` and ``long_side`` is given."""

    epochs: Positive
    scale: Range | None
    long_side: Range | None
    jitter: Jitter | None
    head_lr_factor: Size
    freeze_norm: bool

    @model_validator(mode="after")
    def _one_size(self) -> CamsTraining:
        if (self.scale is None) == (self.long_side is None):
            raise ValueError("give scale (factors) or long_side (pixels), and null for the other")
        return self


class CamsNet(Section):
    """The classifier of one variant."""

    backbone: Backbone
    weights: str | None
    trained: str | None
    output_stride: Literal[8, 16, 32]
    grid_stride: Literal[4, 8, 16]
    frozen_stages: Annotated[int, Field(ge=0, le=5)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    train: CamsTraining


class CamsInference(Section):
    """How CAMs are made from a trained classifier."""

    scales: Annotated[tuple[Size, ...], Field(min_length=1)]


class Cams(Section):
    """Section ``cams``."""

    I: CamsNet
    P: CamsNet
    infer: CamsInference

    def net(self, variant: Variant) -> CamsNet:
        """The classifier of a variant."""
        return self.I if variant == "I" else self.P


class BoundarySeeds(Section):
    """Confident regions that teach IRNet's boundary."""

    stride: Positive
    foreground: Fraction
    background: Fraction
    gt_prob: Fraction
    crf: Crf


class AffinitySeeds(Section):
    """Confident regions that teach AffinityNet."""

    stride: Positive
    cam_cut: Annotated[float, Field(ge=0, lt=1)]
    alphas: tuple[Size, Size]
    crf: Crf


class AffinityTraining(SgdTraining):
    """Training of either affinity network."""

    epochs: Positive
    scale: Range
    jitter: Jitter | None
    backbone_lr_factor: Factor
    offset_share: Annotated[float, Field(gt=0, le=1)]


class BoundaryNet(Section):
    """IRNet's boundary branch."""

    backbone: Literal["cams", "weights"]
    trained: str | None
    displacement: bool
    radius: Annotated[int, Field(ge=2)]
    train_radius: Annotated[int, Field(ge=2)]
    seeds: BoundarySeeds
    train: AffinityTraining


class AffinityNet(Section):
    """PSA's AffinityNet."""

    backbone: Literal["cams", "weights"]
    trained: str | None
    radius: Annotated[int, Field(ge=2)]
    train_radius: Annotated[int, Field(ge=2)]
    seeds: AffinitySeeds
    train: AffinityTraining


class Affinity(Section):
    """Section ``affinity``."""

    I: BoundaryNet
    P: AffinityNet

    def net(self, variant: Variant) -> BoundaryNet | AffinityNet:
        """The affinity network of a variant."""
        return self.I if variant == "I" else self.P


class LabelSource(Section):
    """The scores of one variant that partial labels come from."""

    scores: Literal["cams", "walk"]
    cut: Annotated[float, Field(ge=0, lt=1)]


class PartialLabels(Section):
    """From CAMs to the partial pseudo labels P."""

    I: LabelSource
    P: LabelSource
    alphas: tuple[Size, Size]
    crf: Crf
    min_prob: Fraction
    confident_share: Fraction
    cam_floor: Fraction
    min_background: Fraction

    def source(self, variant: Variant) -> LabelSource:
        """The scores of a variant."""
        return self.I if variant == "I" else self.P


class Walk(Section):
    """The random walk of one variant; exactly one of ``background`` and ``alpha`` is given."""

    beta: Size
    log2_steps: Count
    background: Fraction | None
    alpha: Size | None

    @model_validator(mode="after")
    def _one_background(self) -> Walk:
        if (self.background is None) == (self.alpha is None):
            raise ValueError("give background (a constant score) or alpha (a walking score), and null for the other")
        return self


class RandomWalk(Section):
    """The random walks of both variants."""

    I: Walk
    P: Walk

    def walk(self, variant: Variant) -> Walk:
        """The walk of a variant."""
        return self.I if variant == "I" else self.P


class Propagate(Section):
    """Section ``propagate``: eq. (1)–(7) and the baseline."""

    objective: Literal["paper", "reference"]
    normalisation: Literal["row", "symmetric", "none"]
    feature_steps: Count
    hidden: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    steps: Positive
    lr: Size
    weight_decay: Factor
    entropy_weight: Factor
    laplacian_weight: Factor
    colour_variance: Size
    distance_variance: Size
    colour_scale: Size
    window: Annotated[int, Field(ge=1)]
    partial_labels: PartialLabels
    random_walk: RandomWalk

    @model_validator(mode="after")
    def _window_is_odd(self) -> Propagate:
        if self.window % 2 == 0:
            raise ValueError("window must be odd: it has a centre")
        return self


class LabelCrf(Crf):
    """The dense CRF that makes complete pseudo labels."""

    softmax: bool


class CrfStage(Section):
    """Section ``crf``."""

    gcn: LabelCrf
    random_walk: LabelCrf


class Segtrain(SgdTraining):
    """Section ``segtrain``: DeepLabv2."""

    backbone: Backbone
    weights: str | None
    trained: str | None
    output_stride: Literal[8, 16]
    aspp_dilations: Annotated[tuple[Positive, ...], Field(min_length=1)]
    iterations: Positive
    accumulate: Positive
    scale: Range
    input_scales: Annotated[tuple[Size, ...], Field(min_length=1)]
    head_lr_factor: Size
    freeze_norm: bool


class Evaluate(Section):
    """Section ``evaluate``."""

    masks: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    cam_background: Fraction
    seg_scales: Annotated[tuple[Size, ...], Field(min_length=1)]
    seg_flip: bool
    seg_crf: Crf
    panels: Count


class Params(Section):
    """The whole of ``params.yaml``."""

    runtime: Runtime
    tracking: Tracking
    dataset: Dataset
    cams: Cams
    affinity: Affinity
    propagate: Propagate
    crf: CrfStage
    segtrain: Segtrain
    evaluate: Evaluate

    @model_validator(mode="after")
    def _a_photograph_for_each_device(self) -> Params:
        batches = {"segtrain": self.segtrain.batch}
        for variant in VARIANTS:
            batches[f"cams.{variant}.train"] = self.cams.net(variant).train.batch
            batches[f"affinity.{variant}.train"] = self.affinity.net(variant).train.batch
        small = [f"{name}.batch: {batch}" for name, batch in batches.items() if batch < self.runtime.devices]
        if small:
            raise ValueError(f"runtime.devices: {self.runtime.devices} devices cannot share {', '.join(small)}")
        return self


def load_params(path: Path) -> Params:
    """Read ``params.yaml``.

    Raises:
        UsageError: the file is missing or no YAML, a key is unknown or missing, or a value has the wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: run this in a project folder, or make one with `wsgcn init`") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return parse_params(content, str(path))


def parse_params(content: Any, source: str) -> Params:
    """Turn the content of ``params.yaml`` into records.

    Raises:
        UsageError: see :func:`load_params`; ``source`` names the file in the message.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(problem, content) for problem in error.errors())
        raise UsageError(f"{source}: {problems}") from error


def _explain(problem: Any, content: Any) -> str:
    where, said = ".".join(str(part) for part in problem["loc"]), problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}, known here are {', '.join(_known_keys(problem['loc'][:-1]))}"
    if problem["type"] == "missing" and isinstance(problem["loc"][-1], str):
        return f"key {where!r} is missing, known here are {', '.join(_known_keys(problem['loc'][:-1]))}"
    return f"{where or 'the file'}: {said}, not {problem['input']!r}" if where else said


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        annotation = section.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        section = next(one for one in candidates if isinstance(one, type) and issubclass(one, Section))
    return list(section.model_fields)
