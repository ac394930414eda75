"""What every section of ``params.yaml`` is made of: number types, and the groups of numbers that several kinds share.

Nothing here or in a file with a kind imports what is slow to import, so that reading ``params.yaml`` costs nothing.
"""

from __future__ import annotations

import fractions
import importlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    SerializationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from wsgcn.ranges import (
    Batch,
    BelowOne,
    Between,
    Count,
    Deviation,
    Factor,
    Fraction,
    Iterations,
    Pixels,
    Positive,
    Rate,
    Size,
)
from wsgcn.vocabulary import IN_PACKAGE, PRESET_FOLDER

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from wsgcn.training.optimiser import ParameterGroup

Stride = Literal[4, 8, 16]
SegMerge = Literal["mean", "max"]
Interpolation = Literal["bilinear", "bicubic"]
Border = Literal["mean", "black"]
FreezeNorm = Literal["none", "statistics", "affine", "all"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]  # as Lightning Fabric calls them

MOST_UPDATES, MOST_EPOCHS = 10_000_000, 10_000
"""Longest training."""
_EPOCHS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) epochs?")


def _check_name(name: str) -> str:
    """Names of entries, variants and methods become names of files, of DVC stages and of MLflow's runs.

    A letter comes first, since YAML readers differ in what else they take for a number (``1e5``).
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError(f"{name!r} cannot be a name: use letters, digits, - and _, a letter first")
    return name


def _check_backbone(name: str) -> str:
    backbone_module(name)
    return name


def backbone_module(name: str) -> str:
    """Dotted name of the module of a backbone.

    The registry is imported by its name: an import statement would make the list of all backbones part of what every
    result is made of, and a new backbone would train every network again.

    Raises:
        ValueError: there is no such backbone; the message lists the known ones.
    """
    return str(importlib.import_module("wsgcn.nets.registry").backbone_module(name))


def _check_steps(steps: Any) -> Any:
    number = isinstance(steps, int) and not isinstance(steps, bool) and steps > 0
    passes = isinstance(steps, str) and _EPOCHS.fullmatch(steps) and step_count(steps, 1, 1) > 0
    if not number and not passes:
        raise ValueError(f"give gradient updates, such as 200, or passes, such as 40 epochs, not {steps!r:.60}")
    if (steps > MOST_UPDATES) if number else (step_count(steps, 1, 1) > MOST_EPOCHS):
        raise ValueError(f"at most {MOST_UPDATES} gradient updates or {MOST_EPOCHS} epochs, not {steps!r:.60}")
    return steps


def _check_backgrounds(given: Any) -> Any:
    numbers = given.values() if isinstance(given, dict) else [given]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1 for one in numbers):
        raise ValueError(f"give a number from 0 to 1, or one for each CAM source by its name, not {given!r:.60}")
    return given


def _find_in_package(file: str | None) -> str | None:
    if file is None or not file.startswith(IN_PACKAGE):
        return file
    name = file.removeprefix(IN_PACKAGE)
    shipped = sorted(one.name for one in PRESET_FOLDER.glob("*.pt"))
    if name not in shipped:
        raise ValueError(f"the package has no {name!r}, it has {', '.join(shipped)}")
    return str(PRESET_FOLDER / name)


def _told_apart_by_content(file: str | None, info: SerializationInfo) -> str | None:
    return "given" if info.context == FOR_A_FINGERPRINT and file is not None else file


FOR_A_FINGERPRINT = "for a fingerprint"
"""Context in which parameters are dumped whose files are digested besides."""

Outside = PlainSerializer(_told_apart_by_content)
"""Beside a type in an annotation: the path of what :meth:`Kind.files` lists, which a fingerprint knows by content."""

Name = Annotated[str, AfterValidator(_check_name)]
BackboneName = Annotated[str, AfterValidator(_check_backbone)]
Weights = Annotated[str | None, AfterValidator(_find_in_package), Outside]
"""A file, ``package:<name>`` for one that ships here, or None."""
Backgrounds = Annotated[Fraction | dict[Name, Fraction], BeforeValidator(_check_backgrounds)]
"""One score for all CAM sources (``0.15``), or one for each by its name (``{irnet: 0.15, psa: 0.2}``)."""
Steps = Annotated[Annotated[int, Between(1, MOST_UPDATES)] | str, BeforeValidator(_check_steps)]
"""Length of a training: gradient updates (``200``) or passes over the training photographs (``40 epochs``)."""


def step_count(steps: int | str, photographs: int, batch: int) -> int:
    """Gradient updates of a training; epochs show each photograph so often, the last batch filled up.

    Args:
        steps: a number of updates, or ``<number> epochs``.
        photographs: of the training split, those that are held out too.
        batch: photographs an update.
    """
    if isinstance(steps, int):
        return steps
    found = _EPOCHS.fullmatch(steps)
    assert found is not None  # checked when params.yaml was read
    return math.ceil(fractions.Fraction(found[1]) * photographs / batch)


KEYS = "keys"
"""Type of the problem that a section lacks keys or has unknown ones; its context lists them and the known ones."""


class Section(BaseModel):
    """A section of ``params.yaml``: every key must be there and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_the_known_ones(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and content.keys() != cls.model_fields.keys():
            unknown = [key for key in content if key not in cls.model_fields]
            missing = [key for key in cls.model_fields if key not in content]
            found = {"unknown": unknown, "missing": missing, "known": [*cls.model_fields]}
            raise PydanticCustomError(KEYS, "unknown: {unknown}, missing: {missing}, known: {known}", found)
        return content

    def fingerprinted(self, *, include: set[str] | None = None, exclude: set[str] | None = None) -> dict[str, Any]:
        """The parameters as plain values, for a fingerprint: of an :data:`Outside` path only whether there is one."""
        return self.model_dump(mode="json", include=include, exclude=exclude, context=FOR_A_FINGERPRINT)


class Kind(Section):
    """One way to do a stage's work: its parameters, and the methods that do it.

    Attributes:
        kind: the word in ``params.yaml`` that chooses it.
    """

    kind: str

    def modules(self) -> tuple[str, ...]:
        """Dotted names of the modules whose code, with all that they import, decides the result."""
        return (self.__class__.__module__,)

    def files(self) -> tuple[str, ...]:
        """Files and folders outside of the pipeline that decide the result; DVC learns of their content."""
        return ()

    def dump(self, *names: str) -> dict[str, Any]:
        """The parameters of these names as plain values, for a fingerprint; all but ``kind`` where none is named."""
        return self.fingerprinted(include=set(names) or None, exclude=set() if names else {"kind"})


@dataclass(frozen=True)
class OneOf:
    """Beside a base class in an annotation: a section of one of these kinds, which its key ``kind`` chooses."""

    kinds: Sequence[type[Kind]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A tagged union, also of a single kind."""
        choices = {
            get_args(kind.model_fields["kind"].annotation)[0]: handler.generate_schema(kind) for kind in self.kinds
        }
        return core_schema.tagged_union_schema(
            choices,
            "kind",
            custom_error_type="unknown_kind",
            custom_error_message="{known}",
            custom_error_context={"known": ", ".join(choices)},
        )


class Crf(Section):
    """One use of the dense CRF: pixels, grey levels of 0 … 255."""

    iterations: Iterations
    gaussian_sxy: Deviation
    gaussian_compat: Factor
    bilateral_sxy: Deviation
    bilateral_srgb: Deviation
    bilateral_compat: Factor


class Saliency(Section):
    """Maps of what stands out, ``<folder>/<id>.png``, as a source of background: what is below ``threshold``."""

    folder: Annotated[str, Field(min_length=1), Outside]
    threshold: Fraction


class SaliencyBesideCams(Saliency):
    """The same beside labels of CAMs: where one is above ``cam``, nothing is background."""

    cam: Fraction


class Growth(Section):
    """Probabilities above which seeded region growing takes a cell for a foreground class, or for background."""

    foreground: Fraction
    background: Fraction


class Jitter(Section):
    """Random changes of colour: each factor is drawn from 1 ± its number, hue from ± its share of the circle."""

    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Between(0, 0.5)]


class FocalPenalty(Section):
    """What a mask costs that covers little of a photograph: (1 - share)^``power`` · log(``shift`` + share)."""

    power: Factor
    shift: Size


class Optimiser(Kind):
    """How parameters follow their gradients."""

    weight_decay: Factor

    def build(self, groups: Sequence[ParameterGroup]) -> Optimizer:
        """PyTorch's optimiser for parameters with their rates; a group's own weight decay comes first."""
        raise NotImplementedError


class Sgd(Optimiser):
    """Stochastic gradient descent: DeepLabv2's with a momentum of 0.9, IRNet's and PSA's with next to none.

    The public code of these two passes the weight decay, 1e-4 and 5e-4, in the place of the momentum.
    """

    kind: Literal["sgd"]
    momentum: Fraction

    def build(self, groups: Sequence[ParameterGroup]) -> Optimizer:
        """SGD with momentum."""
        from torch.optim import SGD

        return SGD([dict(group) for group in groups], lr=0.0, momentum=self.momentum, weight_decay=self.weight_decay)


class AdamW(Optimiser):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), which learns more in few updates."""

    kind: Literal["adamw"]

    def build(self, groups: Sequence[ParameterGroup]) -> Optimizer:
        """AdamW with PyTorch's moments, 0.9 and 0.999."""
        from torch.optim import AdamW

        return AdamW([dict(group) for group in groups], lr=0.0, weight_decay=self.weight_decay)


class Stop(Section):
    """When a training ends: it is measured every so many updates, and ends after ``patience`` that were no better."""

    every: Positive
    patience: Positive


class Check(Section):
    """How a training is watched: some photographs measure the network, perhaps without training it.

    ``held_out`` is their share, of ``photographs`` at most; where it is 0, all train and ``photographs`` of them
    measure. With ``stop`` the weights of the best measurement are kept; without it the last ones.
    """

    photographs: Positive
    held_out: BelowOne
    stop: Stop | None


class NetworkTraining(Section):
    """What every training by gradient descent with a poly schedule has.

    ``weights`` is a file, ``package:<name>`` for one that ships here, None for a new network, or ``cams``, where
    another network may start as the CAM source's. ``average`` is the decay of an exponential moving average of the
    weights, which is then what gets measured and kept; with 0 the weights themselves are.
    """

    backbone: BackboneName
    weights: Weights
    trained: Annotated[str | None, Outside]
    output_stride: Literal[8, 16, 32]
    frozen_stages: Annotated[int, Between(0, 5)]
    steps: Steps
    batch: Batch
    crop: Pixels
    lr: Rate
    optimiser: Annotated[Optimiser, OneOf((Sgd, AdamW))]
    warmup_steps: Count
    poly_power: Factor
    average: BelowOne
    check: Check | None

    def files(self) -> tuple[str, ...]:
        """The weights that it starts from, or that are taken instead of training."""
        return tuple(one for one in (self.weights, self.trained) if one not in (None, "cams"))


class TrainedKind(Kind):
    """A kind of which one stage trains a network, if it has one, and the next one uses it.

    Its parameters are in these two sections and nowhere else, since each stage depends on its own.

    Attributes:
        train: what decides the network; None for a kind that trains none.
        infer: what decides the result beside the network.
    """

    train: Section | None
    infer: Section

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a kind with parameters that neither stage would depend on."""
        others = set(cls.model_fields) - {"kind", "train", "infer"}
        if others:
            raise TypeError(f"{cls.__name__} has {', '.join(sorted(others))}: put it into train or infer")

    def files(self) -> tuple[str, ...]:
        """Those of its training."""
        return self.train.files() if isinstance(self.train, NetworkTraining) else ()
