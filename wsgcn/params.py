"""``params.yaml`` as frozen, typed records, no default value anywhere; its variants and methods with what they name.

Units and sources stand beside each number in ``params.yaml``, the one place where it lives. A kind's own parameters are
in its file; this is the one module that knows all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from wsgcn.affinity.base import AffinityKind
from wsgcn.affinity.kinds import KINDS as AFFINITIES
from wsgcn.cams.base import CamSource
from wsgcn.cams.kinds import KINDS as CAM_SOURCES
from wsgcn.crf.base import Refinement
from wsgcn.crf.kinds import KINDS as REFINEMENTS
from wsgcn.dataset.kinds import KINDS as DATASETS
from wsgcn.errors import UsageError
from wsgcn.propagate.base import Propagation
from wsgcn.propagate.kinds import KINDS as PROPAGATIONS
from wsgcn.sections import Count, Crf, Fraction, Kind, Name, Positive, Section, SgdTraining, Size
from wsgcn.segtrain.section import Segtrain

Entry = TypeVar("Entry")


def _any_of(kinds: tuple[type[Kind], ...]) -> Any:
    """A section of one of these kinds, which its key ``kind`` chooses."""
    return Annotated[Union[kinds], Field(discriminator="kind")] if len(kinds) > 1 else kinds[0]  # noqa: UP007


class Runtime(Section):
    """Seed, devices, precision, worker processes, and where finished work is kept."""

    seed: Count
    device: str
    devices: Positive
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    workers: Count
    store: str
    store_gb: Size


class Tracking(Section):
    """Where MLflow keeps its runs."""

    uri: str
    experiment: str


class VariantNames(Section):
    """A variant: names of a CAM source and an affinity."""

    cams: str
    affinity: str


class MethodNames(Section):
    """A method: names of a variant, a propagation and a CRF."""

    variant: str
    propagation: str
    crf: str


class Evaluate(Section):
    """Section ``evaluate``."""

    masks: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    cam_background: Fraction
    seg_scales: Annotated[tuple[Size, ...], Field(min_length=1)]
    seg_flip: bool
    seg_crf: Crf
    panels: Count


@dataclass(frozen=True)
class Variant:
    """A CAM source with an affinity.

    Attributes:
        name: of the variant.
        cams: the CAM source.
        affinity: the affinity.
        cams_name: name of the CAM source's entry.
        affinity_name: name of the affinity's entry.
    """

    name: str
    cams: CamSource
    affinity: AffinityKind
    cams_name: str
    affinity_name: str


@dataclass(frozen=True)
class Method:
    """A way to make pseudo labels: a variant with a propagation and its CRF.

    Attributes:
        name: of the method.
        variant: its variant.
        propagation: its propagation.
        crf: what refines its scores into labels.
        propagation_name: name of the propagation's entry.
        crf_name: name of the CRF's entry.
    """

    name: str
    variant: Variant
    propagation: Propagation
    crf: Refinement
    propagation_name: str
    crf_name: str


class Params(Section):
    """The whole of ``params.yaml``."""

    runtime: Runtime
    tracking: Tracking
    variants: dict[Name, VariantNames]
    methods: dict[Name, MethodNames]
    dataset: _any_of(DATASETS)
    cams: dict[Name, _any_of(CAM_SOURCES)]
    affinity: dict[Name, _any_of(AFFINITIES)]
    propagate: dict[Name, _any_of(PROPAGATIONS)]
    crf: dict[Name, _any_of(REFINEMENTS)]
    segtrain: Segtrain
    evaluate: Evaluate

    @model_validator(mode="after")
    def _everything_that_is_named_exists(self) -> Params:
        for name, variant in self.variants.items():
            for room in ("cams", "affinity"):
                _find(getattr(self, room), getattr(variant, room), f"variants.{name}.{room}", room)
        for name, method in self.methods.items():
            for key, section in (("variant", "variants"), ("propagation", "propagate"), ("crf", "crf")):
                _find(getattr(self, section), getattr(method, key), f"methods.{name}.{key}", section)
        return self

    @model_validator(mode="after")
    def _a_photograph_for_each_device(self) -> Params:
        small = [f"{name}.batch: {one.batch}" for name, one in self._trainings() if one.batch < self.runtime.devices]
        if small:
            raise ValueError(f"runtime.devices: {self.runtime.devices} devices cannot share {', '.join(small)}")
        return self

    @model_validator(mode="after")
    def _what_starts_from_the_cams_finds_a_network(self) -> Params:
        used = [
            (f"affinity.{one.affinity_name}.train", one.affinity.train, one) for one in map(self.variant, self.variants)
        ]
        used += [("segtrain", self.segtrain, method.variant) for method in self.all_methods()]
        for name, training, variant in used:
            starts = isinstance(training, SgdTraining) and training.weights == "cams" and training.trained is None
            if starts and variant.cams.backbone != training.backbone:
                raise ValueError(
                    f"{name}.weights: cams means that its backbone, {training.backbone}, starts as the CAM source's, "
                    f"but cams.{variant.cams_name} trains {variant.cams.backbone or 'none'}: name a file or null"
                )
        return self

    def _trainings(self) -> Iterator[tuple[str, SgdTraining]]:
        for room in ("cams", "affinity"):
            for name, entry in getattr(self, room).items():
                if isinstance(entry.train, SgdTraining):
                    yield f"{room}.{name}.train", entry.train
        yield "segtrain", self.segtrain

    def variant(self, name: str) -> Variant:
        """A variant with what it names.

        Raises:
            UsageError: there is none; the message lists the known ones.
        """
        if name not in self.variants:
            raise UsageError(f"no variant is called {name!r}: params.yaml has {', '.join(self.variants)}")
        names = self.variants[name]
        return Variant(name, self.cams[names.cams], self.affinity[names.affinity], names.cams, names.affinity)

    def method(self, name: str) -> Method:
        """A method with what it names.

        Raises:
            UsageError: there is none; the message lists the known ones.
        """
        if name not in self.methods:
            raise UsageError(f"no method is called {name!r}: params.yaml has {', '.join(self.methods)}")
        names = self.methods[name]
        propagation, crf = self.propagate[names.propagation], self.crf[names.crf]
        return Method(name, self.variant(names.variant), propagation, crf, names.propagation, names.crf)

    def all_methods(self) -> list[Method]:
        """Every method, in the order of ``params.yaml``."""
        return [self.method(name) for name in self.methods]

    def find_method(self, variant: str, propagation: str) -> Method:
        """The method of a variant whose propagation has this kind or this name.

        Raises:
            UsageError: there is none, or more than one; the message lists the known ones.
        """
        known = self.all_methods()
        found = [
            one
            for one in known
            if one.variant.name == variant and propagation in (one.propagation.kind, one.propagation_name)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(one.name for one in found)
            raise UsageError(f"{names} all have variant {variant} with propagation {propagation}: name one by --method")
        listed = ", ".join(f"{one.variant.name} with {one.propagation.kind} ({one.name})" for one in known)
        raise UsageError(f"no method has variant {variant!r} with propagation {propagation!r}: known are {listed}")


def _find(entries: Mapping[str, Entry], name: str, where: str, section: str) -> Entry:
    if name not in entries:
        raise ValueError(f"{where}: {section} has no {name!r}, known are {', '.join(entries) or 'none'}")
    return entries[name]


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
    location, said = _plain(problem["loc"], content), problem["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, location))
    if problem["type"] == "union_tag_invalid":
        known = problem["ctx"]["expected_tags"].replace("'", "")
        return f"{where}.kind: no kind is called {problem['ctx']['tag']!r}, known are {known}"
    if problem["type"] == "union_tag_not_found":
        return f"key '{where}.kind' is missing: it says which kind of {location[0]} this is"
    if problem["type"] == "literal_error" and location[-1] == "kind":
        known = problem["ctx"]["expected"].replace("'", "")
        return f"{where}: no kind is called {problem['input']!r}, known are {known}"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}, known here are {', '.join(_known_keys(problem['loc'][:-1]))}"
    if problem["type"] == "missing" and isinstance(problem["loc"][-1], str):
        return f"key {where!r} is missing, known here are {', '.join(_known_keys(problem['loc'][:-1]))}"
    return f"{where or 'the file'}: {said}, not {problem['input']!r}" if where else said


def _plain(location: tuple[Any, ...], content: Any) -> list[Any]:
    """A place as the file has it: pydantic puts the kind, and ``[key]`` for a bad name, among the keys."""
    plain = []
    for part in location:
        if part == "[key]" or (isinstance(content, Mapping) and part not in content and part == content.get("kind")):
            continue
        plain.append(part)
        content = content.get(part) if isinstance(content, Mapping) else None
    return plain


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """Keys of the section at a place, as pydantic tells it."""
    candidates: list[Any] = [Params]
    for part in location:
        candidates = [below for one in candidates for below in _below(one, part)]
    sections = [one for one in candidates if isinstance(one, type) and issubclass(one, Section)]
    return list(dict.fromkeys(name for one in sections for name in one.model_fields))


def _below(annotation: Any, part: Any) -> Iterator[Any]:
    """The types that a key of a type may have; the name of a kind picks one of several."""
    for one in _members(annotation):
        if isinstance(one, type) and issubclass(one, Section):
            if part in one.model_fields:
                yield from _members(one.model_fields[part].annotation)
            elif part == getattr(one.model_fields.get("kind"), "annotation", None) or _has_kind(one, part):
                yield one
        elif getattr(one, "__origin__", None) is dict:
            yield from _members(get_args(one)[1])


def _has_kind(section: type[Section], kind: Any) -> bool:
    field = section.model_fields.get("kind")
    return field is not None and kind in get_args(field.annotation)


def _members(annotation: Any) -> Iterator[Any]:
    """The types of a union, or of what is annotated; otherwise the type itself."""
    if isinstance(annotation, UnionType) or getattr(annotation, "__origin__", None) is Union:
        for one in get_args(annotation):
            yield from _members(one)
    elif hasattr(annotation, "__metadata__"):
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation
