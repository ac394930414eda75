"""``params.yaml`` as frozen, typed records, no default value anywhere; its variants and methods with what they name.

Units and sources stand beside each number in ``params.yaml``, the one place where it lives. A kind's own parameters are
in its file; this is the one module that knows all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from wsgcn.affinity.base import AffinityKind
from wsgcn.affinity.kinds import KINDS as AFFINITIES
from wsgcn.cams.base import CamSource
from wsgcn.cams.kinds import KINDS as CAM_SOURCES
from wsgcn.crf.base import Refinement
from wsgcn.crf.kinds import KINDS as REFINEMENTS
from wsgcn.dataset.base import Dataset
from wsgcn.dataset.kinds import KINDS as DATASETS
from wsgcn.errors import UsageError
from wsgcn.evaluate.section import Evaluate
from wsgcn.methods import FIRST_ROUND, Method, MethodNames, Variant, VariantNames
from wsgcn.mistakes import explain_all
from wsgcn.propagate.base import Propagation
from wsgcn.propagate.kinds import KINDS as PROPAGATIONS
from wsgcn.ranges import Between, Seed, Size
from wsgcn.sections import Kind, Name, NetworkTraining, OneOf, Precision, Section
from wsgcn.segtrain.base import SegmentationTraining
from wsgcn.segtrain.kinds import KINDS as SEGMENTATION_TRAININGS
from wsgcn.store.files import BROKEN, reason

NotEmpty = Field(min_length=1)


class Runtime(Section):
    """Seed, devices, precision, worker processes, and where finished work is kept."""

    seed: Seed
    device: str
    devices: Annotated[int, Between(1, 64)]
    precision: Literal["auto", Precision]
    workers: Annotated[int, Between(0, 1024)]
    engine: Literal["processes", "ray"]
    address: str
    store: str
    store_gb: Size


class Tracking(Section):
    """Where MLflow keeps its runs."""

    uri: str
    experiment: str


class Params(Section):
    """The whole of ``params.yaml``."""

    runtime: Runtime
    tracking: Tracking
    variants: Annotated[dict[Name, VariantNames], NotEmpty]
    methods: Annotated[dict[Name, MethodNames], NotEmpty]
    dataset: Annotated[Dataset, OneOf(DATASETS)]
    cams: dict[Name, Annotated[CamSource, OneOf(CAM_SOURCES)]]
    affinity: dict[Name, Annotated[AffinityKind, OneOf(AFFINITIES)]]
    propagate: dict[Name, Annotated[Propagation, OneOf(PROPAGATIONS)]]
    crf: dict[Name, Annotated[Refinement, OneOf(REFINEMENTS)]]
    segtrain: dict[Name, Annotated[SegmentationTraining, OneOf(SEGMENTATION_TRAININGS)]]
    evaluate: Evaluate

    @model_validator(mode="after")
    def _everything_that_is_named_exists(self) -> Params:
        named = [(f"variants.{name}.cams", one.cams, "cams") for name, one in self.variants.items()]
        named += [(f"variants.{name}.affinity", one.affinity, "affinity") for name, one in self.variants.items()]
        named += [(f"methods.{name}.variant", one.variant, "variants") for name, one in self.methods.items()]
        named += [(f"methods.{name}.propagation", one.propagation, "propagate") for name, one in self.methods.items()]
        named += [(f"methods.{name}.crf", one.crf, "crf") for name, one in self.methods.items()]
        named += [(f"methods.{name}.segtrain", one.segtrain, "segtrain") for name, one in self.methods.items()]
        if isinstance(self.evaluate.cam_background, dict):
            named += [(f"evaluate.cam_background.{name}", name, "cams") for name in self.evaluate.cam_background]
        wrong = [
            f"{where}: {section} has no {name!r}, known are {', '.join(getattr(self, section)) or 'none'}"
            for where, name, section in named
            if name not in getattr(self, section)
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _every_cam_source_has_a_background(self) -> Params:
        given = self.evaluate.cam_background
        missing = {one.cams for one in self.variants.values()} - set(given) if isinstance(given, dict) else set()
        if missing:
            raise ValueError(f"evaluate.cam_background: give {', '.join(sorted(missing))} a number too, or all one")
        return self

    @model_validator(mode="after")
    def _rounds_follow_one_another(self) -> Params:
        for name, one in self.variants.items():
            where, second = f"variants.{name}.after", self.cams[one.cams].second_round
            if one.after != FIRST_ROUND and one.teacher not in self.methods:
                raise ValueError(
                    f"{where} must be {FIRST_ROUND} or segtrain/<method>/checkpoint.pt, not {one.after!r}; methods are "
                    f"{', '.join(self.methods)}"
                )
            if second != (one.teacher is not None):
                wanted = "segtrain/<method>/checkpoint.pt: it starts from a network" if second else FIRST_ROUND
                raise ValueError(f"{where}: cams.{one.cams} comes after {wanted}")
            before = [name]
            while (teacher := self.variants[before[-1]].teacher) is not None:
                before.append(self.methods[teacher].variant)
                if before[-1] in before[:-1]:
                    raise ValueError(f"{where}: {' after '.join(before)}, which never begins")
        return self

    @model_validator(mode="after")
    def _a_photograph_for_each_device(self) -> Params:
        small = [f"{name}.batch: {one.batch}" for name, one in self._trainings() if one.batch < self.runtime.devices]
        if small:
            raise ValueError(f"runtime.devices: {self.runtime.devices} devices cannot share {', '.join(small)}")
        return self

    @model_validator(mode="after")
    def _what_starts_from_the_cams_finds_a_network(self) -> Params:
        for name, one in self._trainings():
            if name.startswith("cams.") and one.weights == "cams":
                raise ValueError(f"{name}.weights: cams is for what starts as a CAM source: name a file or null")
        variants = [self.variant(name) for name in self.variants]
        starts: list[tuple[str, Section | None, Variant]] = [
            *((f"affinity.{one.affinity_name}.train", one.affinity.train, one) for one in variants),
            *((f"segtrain.{one.segtrain_name}", one.segtrain, one.variant) for one in self.all_methods()),
        ]
        for name, training, variant in starts:
            if not isinstance(training, NetworkTraining) or training.weights != "cams" or training.trained is not None:
                continue
            if variant.cams.backbone != training.backbone:
                raise ValueError(
                    f"{name}.weights: cams means that its backbone, {training.backbone}, starts as the CAM source's, "
                    f"but cams.{variant.cams_name} trains {variant.cams.backbone or 'none'}: name a file or null"
                )
        return self

    @model_validator(mode="after")
    def _what_needs_a_classifier_finds_one(self) -> Params:
        for one in self.all_methods():
            if one.segtrain.trained is not None or not one.segtrain.needs_classifier:
                continue
            if one.segtrain.weights != "cams" or not one.variant.cams.has_classifier:
                raise ValueError(
                    f"segtrain.{one.segtrain_name}.weights: its labels are those of a classifier that was trained "
                    f"before: say cams, in methods whose CAM source trains one; in methods.{one.name} it starts from "
                    f"{one.segtrain.weights or 'null'}, and cams.{one.variant.cams_name} is of kind "
                    f"{one.variant.cams.kind}; or take labels: method"
                )
        return self

    def _trainings(self) -> Iterator[tuple[str, NetworkTraining]]:
        for room in ("cams", "affinity"):
            for name, entry in getattr(self, room).items():
                if isinstance(entry.train, NetworkTraining):
                    yield f"{room}.{name}.train", entry.train
        yield from ((f"segtrain.{name}", entry) for name, entry in self.segtrain.items())

    @property
    def segmentation(self) -> dict[str, Any]:
        """How photographs are segmented, as JSON knows it: section ``evaluate``'s, and how large they may be."""
        sizes = {"max_megapixels": self.dataset.max_megapixels, "work_megapixels": self.dataset.work_megapixels}
        return self.evaluate.segmentation | sizes

    def outside(self) -> set[str]:
        """Files and folders of the user that this names: the dataset, masks, weights."""
        rooms = (self.cams, self.affinity, self.propagate, self.crf, self.segtrain)
        kinds: list[Kind] = [self.dataset, *(entry for room in rooms for entry in room.values())]
        files = {file for one in kinds for file in one.files()}
        root = getattr(self.dataset, "root", None)
        return files | {self.evaluate.masks, *([root] if root else [])}

    def variant(self, name: str) -> Variant:
        """A variant with what it names.

        Raises:
            UsageError: there is none; the message lists the known ones.
        """
        if name not in self.variants:
            raise UsageError(f"no variant is called {name!r}: params.yaml has {', '.join(self.variants)}")
        names = self.variants[name]
        cams, affinity = self.cams[names.cams], self.affinity[names.affinity]
        before = () if names.teacher is None else self.variant(self.methods[names.teacher].variant).rounds
        return Variant(name, cams, affinity, names.after, (*before, name), names.cams, names.affinity)

    def method(self, name: str) -> Method:
        """A method with what it names.

        Raises:
            UsageError: there is none; the message lists the known ones.
        """
        if name not in self.methods:
            raise UsageError(f"no method is called {name!r}: params.yaml has {', '.join(self.methods)}")
        names = self.methods[name]
        return Method(
            name=name,
            variant=self.variant(names.variant),
            propagation=self.propagate[names.propagation],
            crf=self.crf[names.crf],
            segtrain=self.segtrain[names.segtrain],
            propagation_name=names.propagation,
            crf_name=names.crf,
            segtrain_name=names.segtrain,
        )

    def earlier(self, method: Method) -> list[Method]:
        """The methods of the rounds before it, from whose networks it was made; none in a first round."""
        teacher = self.variants[method.variant.name].teacher
        return [] if teacher is None else [*self.earlier(self.method(teacher)), self.method(teacher)]

    def all_methods(self) -> list[Method]:
        """Every method, in the order of ``params.yaml``."""
        return [self.method(name) for name in self.methods]

    def find_method(self, variant: str, propagation: str | None) -> Method:
        """The method of a variant whose propagation has this kind or this name; None = the one that is no baseline.

        Raises:
            UsageError: there is none, or more than one; the message lists the known ones.
        """

        def fits(one: Propagation, name: str) -> bool:
            return not one.baseline if propagation is None else propagation in (one.kind, name)

        known = self.all_methods()
        found = [one for one in known if one.variant.name == variant and fits(one.propagation, one.propagation_name)]
        if len(found) == 1:
            return found[0]
        asked = "" if propagation is None else f" with propagation {propagation!r}"
        if found:
            names = ", ".join(one.name for one in found)
            raise UsageError(f"{names} all have variant {variant!r}{asked}: name one by --method")
        listed = ", ".join(f"{one.variant.name} with {one.propagation.kind} ({one.name})" for one in known)
        raise UsageError(f"no method has variant {variant!r}{asked}: known are {listed}")


def load_params(path: Path) -> Params:
    """Read ``params.yaml``.

    Raises:
        UsageError: the file is missing or no YAML, a key is unknown or missing, or a value has the wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: run this in a project folder, or make one with `wsgcn init`") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, *BROKEN) as error:  # the latter from numbers, dates and depths that it trips over
        raise UsageError(f"{path} is not YAML: {reason(error)}") from error
    return parse_params(content, str(path))


def parse_params(content: Any, source: str) -> Params:
    """Turn the content of ``params.yaml`` into records.

    Raises:
        UsageError: see :func:`load_params`; ``source`` names the file in the message.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{source}: {explain_all(error.errors())}") from error
