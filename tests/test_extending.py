"""The examples of docs/extending.md, copied from the page: one file and one entry each, and they run to the report."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests import chain
from tests.conftest import ROOT, TINY_SHOWN, real_content
from tests.projects import copied, dvc, environment, merged, output, repro, write_yaml
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.params import load_params
from wsgcn.project import init_project
from wsgcn.stages import STAGES
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts

MADE_OF_EXISTING_PARTS = {
    "variants": {"X": {"cams": "psa", "affinity": "boundary", "after": "dataset/index.json"}},
    "methods": {"WSGCN-X": {"variant": "X", "propagation": "gcn-i", "crf": "gcn", "segtrain": "deeplab"}},
}

# ---------------------------------------------------------------- the page


@dataclass(frozen=True)
class Example:
    """One example: its file, the list that it is entered in, and what is merged into params.yaml."""

    title: str
    file: str
    code: str
    list: str
    entry: str
    params: dict[str, Any]


def examples() -> dict[str, Example]:
    """The examples of the page by the word that params.yaml chooses them with."""
    found = {}
    for section in (ROOT / "docs" / "extending.md").read_text().split("\n## ")[1:]:
        blocks = {
            what: re.search(rf"^{start}:\n\n```{language}\n(.*?)^```$", section, re.M | re.S)
            for what, start, language in (
                ("file", "File `(.*?)`", "python"),
                ("entry", "Entry in `(.*?)`", "python"),
                ("params", "In `(params.yaml)`[^\n]*", "yaml"),
            )
        }
        if all(blocks.values()):
            (file, code), (where, entry) = blocks["file"].groups(), blocks["entry"].groups()
            word = re.search(r'kind: Literal\["(.*?)"\]|name = "(.*?)"', code)
            params = yaml.safe_load(blocks["params"][2])
            found[word[1] or word[2]] = Example(section.splitlines()[0], file, code, where, entry, params)
    return found


EXAMPLES = examples()
DEMO_EXAMPLES = [name for name in EXAMPLES if name != "csv"]
KINDS = [name for name, one in EXAMPLES.items() if one.list.endswith("kinds.py")]
ADDED_METHODS = [name for one in EXAMPLES.values() for name in one.params.get("methods", {})]


def test_the_page_has_all_five_examples():
    assert list(EXAMPLES) == ["smooth", "colour", "arrays", "tiny-convnet", "csv"]


# ---------------------------------------------------------------- a copy of the repository, with the examples


def extend(folder: Path, names: list[str]) -> None:
    """Write the file of each example that is not there yet, and its entry into its list."""
    for one in (EXAMPLES[name] for name in names if not (folder / EXAMPLES[name].file).exists()):
        (folder / one.file).write_text(one.code)
        place = folder / one.list
        place.write_text(_entered(place.read_text(), one.entry))


def _entered(text: str, entry: str) -> str:
    """A list with one more entry."""
    if "KINDS = " not in entry:
        before, end, after = text.partition("\n}\n")
        return f"{before}\n    {entry.rstrip()}{end}{after}"
    (old,) = re.findall(r"^KINDS = \((.*)\)$", text, re.M)
    (new,) = re.findall(r"^KINDS = \((.*)\)$", entry, re.M)
    known = [one.strip() for one in old.split(",") if one.strip()]
    assert new.split(", ")[:-1] == known, "the page shows another list than the package has"
    imported = entry.partition("\n")[0]
    return re.sub(r"^KINDS = .*$", f"KINDS = ({new})", text.replace("\nfrom", f"\n{imported}\nfrom", 1), flags=re.M)


def with_examples(content: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Parameters with those of some examples, made small."""
    for name in names:
        content = merged(content, EXAMPLES[name].params)
    return chain.shrunk(content)


def without_shipped(content: dict[str, Any], keep: str | None = None) -> dict[str, Any]:
    """Parameters without the shipped methods but one, and without the variants that no method uses."""
    shipped = set(real_content()["methods"]) - {keep}
    methods = {name: method for name, method in content["methods"].items() if name not in shipped}
    used = {method["variant"] for method in methods.values()}
    variants = {name: one for name, one in content["variants"].items() if name in used}
    return content | {"methods": methods, "variants": variants}


def write_arrays(folder: Path, index: Path, seed: int = 0) -> None:
    """A file of maps for each training photograph, in which each class is activated somewhere."""
    known, random = load_index(index), np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for image in known.split("train"):
        names = [known.class_names[one] for one in image.class_ids]
        np.savez(folder / f"{image.id}.npz", **{name: random.normal(size=(6, 8)) for name in names})


def write_animals(project: Path, tiny_voc: Path, column: bool = True) -> None:
    """The photographs of ``tiny_voc`` with a table, and their masks."""
    root = project / "data" / "animals"
    shutil.copytree(tiny_voc / "JPEGImages", root / "photos")
    shutil.copytree(tiny_voc / "SegmentationClass", project / "masks", dirs_exist_ok=True)
    lines = ["image,labels,split" if column else "image,labels"]
    for image_id, shown in TINY_SHOWN.items():
        labels = ";".join(("background", "cat", "dog")[one] for one in shown)
        split = ",train" if image_id.startswith("t") else ",val"
        lines.append(f"photos/{image_id}.jpg,{labels}{split if column else ''}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


# ---------------------------------------------------------------- every stage, in one process


def run_projects(*folders: str) -> None:
    """Run every stage in each folder, and note what is said of wrong parameters beside; called in another process."""
    for folder in folders:
        os.chdir(folder)
        params, artifacts = load_params(Path("params.yaml")), Artifacts()
        chain.run_stage("dataset", None, params, artifacts)
        if (Path("data") / "cams").exists():
            write_arrays(Path("data") / "cams", artifacts.index)
        chain.run_stages([stage for stage in STAGES if stage != "dataset"], params, artifacts)
        for wrong in Path("wrong").glob("*.yaml"):
            with pytest.raises(UsageError) as caught:
                load_params(wrong)
            wrong.with_suffix(".txt").write_text(str(caught.value))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The repository with all five examples."""
    folder = copied(tmp_path_factory.mktemp("extending") / "clone")
    extend(folder, list(EXAMPLES))
    return folder


@pytest.fixture
def projects(clone, tiny_voc):
    """Two projects, each run to the report once: ``demo`` has the first four examples, ``animals`` the dataset."""
    demo, animals = clone.parent / "demo", clone.parent / "animals"
    if not demo.exists():
        contents = {
            demo: without_shipped(with_examples(real_content(), DEMO_EXAMPLES)),
            animals: without_shipped(with_examples(real_content(), ["csv"]), keep="IRNet"),
        }
        for folder, content in contents.items():
            write_yaml(folder, content)
            (folder / "wrong").mkdir()
        (demo / "data" / "cams").mkdir(parents=True)
        write_animals(animals, tiny_voc)
        for name in KINDS:
            folder = animals if name == "csv" else demo
            text = yaml.safe_dump(_with_typing_error(contents[folder], name))
            (folder / "wrong" / f"{name}.yaml").write_text(text)
        command = f"from tests.test_extending import run_projects; run_projects({str(demo)!r}, {str(animals)!r})"
        output([sys.executable, "-c", command], demo, environment(clone))
    return {"demo": demo, "animals": animals}


def _entries_of(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    sections = (
        content["dataset"],
        *(one for room in ("cams", "affinity", "propagate") for one in content[room].values()),
    )
    return [one for one in sections if one["kind"] == kind]


def _with_typing_error(content: dict[str, Any], kind: str) -> dict[str, Any]:
    wrong = yaml.safe_load(yaml.safe_dump(content))
    (entry,) = _entries_of(wrong, kind)
    entry["sidee"] = 3
    return wrong


def _assert_runs_to_the_report(project: Path, methods: list[str]) -> None:
    artifacts, page = Artifacts(project / "artifacts"), (project / "artifacts/report/report.md").read_text()
    photographs = load_index(artifacts.index).split("train")
    for method in methods:
        assert method in page
        assert all(artifacts.label_map("crf", method, image.id).exists() for image in photographs)
        labels = json.loads(artifacts.scores("evaluate-labels", method).read_text())
        network = json.loads(artifacts.scores("evaluate", method).read_text())
        assert 0 <= labels["pseudo_miou_crf"] <= 1
        assert 0 <= network["seg_miou"] <= 1


@pytest.mark.parametrize("name", DEMO_EXAMPLES)
def test_an_example_runs_to_the_report(projects, name):
    (method,) = EXAMPLES[name].params["methods"]
    _assert_runs_to_the_report(projects["demo"], [method])


def test_a_table_of_photographs_runs_to_the_report(projects):
    _assert_runs_to_the_report(projects["animals"], ["IRNet"])
    index = load_index(projects["animals"] / "artifacts" / "dataset" / "index.json")
    assert {image.id: image.class_ids for image in index.images} == TINY_SHOWN
    assert {image.id for image in index.split("val")} == {"v0", "v1", "v2"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_of_a_kind_is_named_with_the_known_ones(projects, kind):
    project = projects["animals" if kind == "csv" else "demo"]
    said = (project / "wrong" / f"{kind}.txt").read_text()
    (entry,) = _entries_of(yaml.safe_load((project / "params.yaml").read_text()), kind)
    assert re.search(r"unknown key '[\w.]*sidee', known here are ", said)
    assert all(key in said.partition("known here are ")[2] for key in entry)


def test_the_examples_are_in_the_style_of_the_house(clone):
    files = [one.file for one in EXAMPLES.values()]
    for command in (["check"], ["format", "--check"]):
        output([sys.executable, "-m", "ruff", *command, *files], clone)


# ---------------------------------------------------------------- what the examples refuse


def _example_class(monkeypatch, tmp_path, name: str) -> Any:
    """The class of an example, loaded from its code alone."""
    file = tmp_path / f"example_{name}.py"
    file.write_text(EXAMPLES[name].code)
    spec = util.spec_from_file_location(file.stem, file)
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, module)
    spec.loader.exec_module(module)
    return getattr(module, EXAMPLES[name].entry.splitlines()[0].split()[-1])


CAT_AND_DOG = ImageRecord("tom", "tom.jpg", 60, 80, (1, 2), ("train",))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (None, "is missing|No such file"),
        ({"cat": np.ones((3, 4))}, "lacks dog, it holds cat"),
        ({"cat": np.ones((3, 4)), "dog": np.full((3, 4), np.nan)}, "NaN"),
        ({"cat": np.ones((3, 4)), "dog": np.ones((4, 3))}, "no maps of one size"),
        ({"cat": np.ones(4), "dog": np.ones(4)}, "no maps of one size"),
        ({"cat": np.array("x"), "dog": np.array("y")}, "cannot be read"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(monkeypatch, tmp_path, arrays, said):
    kind = _example_class(monkeypatch, tmp_path, "arrays")
    source = kind(kind="arrays", train=None, infer={"folder": str(tmp_path)})
    if arrays is not None:
        np.savez(tmp_path / "tom.npz", **arrays)
    with pytest.raises(DataError, match=said) as caught:
        source.maps(CAT_AND_DOG, tmp_path / "tom.jpg", None, ("background", "cat", "dog"), "cpu")
    assert str(tmp_path / "tom.npz") in str(caught.value)


def test_arrays_become_cams(monkeypatch, tmp_path):
    kind = _example_class(monkeypatch, tmp_path, "arrays")
    source = kind(kind="arrays", train=None, infer={"folder": str(tmp_path)})
    np.savez(tmp_path / "tom.npz", dog=np.array([[-1.0, 2, 4]]), cat=np.zeros((1, 3)), bird=np.ones((7, 7)))
    maps = source.maps(CAT_AND_DOG, tmp_path / "tom.jpg", None, ("background", "cat", "dog"), "cpu")
    assert maps.dtype == np.float32
    assert maps.tolist() == [[[0, 0, 0]], [[0, 0.5, 1]]]


def _table(monkeypatch, tmp_path) -> Any:
    content = {**EXAMPLES["csv"].params["dataset"], "root": str(tmp_path / "data" / "animals")}
    return _example_class(monkeypatch, tmp_path, "csv").model_validate(content)


def test_a_seed_splits_a_table_that_has_no_splits(monkeypatch, tmp_path, tiny_voc):
    dataset = _table(monkeypatch, tmp_path)
    write_animals(tmp_path, tiny_voc, column=False)
    index = dataset.read(tmp_path)
    assert index == dataset.read(tmp_path)
    assert len(index.split("val")) == round(0.2 * len(TINY_SHOWN))
    assert len(index.split("train")) + len(index.split("val")) == len(TINY_SHOWN)
    others = [dataset.model_copy(update={"seed": seed}).read(tmp_path).split("val") for seed in range(1, 9)]
    assert any(one != index.split("val") for one in others)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("photos/t0.jpg", "photos/gone.jpg", "gone.jpg is missing"),
        (",cat,train", ",bird,train", "its labels are bird: dataset.classes has cat, dog"),
        (",cat,train", ",;,train", "its labels are missing"),
        (",cat,train", ",cat,", "must have image, labels, split in each line"),
        ("image,labels", "photo,labels", "must have image, labels, split in each line"),
        ("photos/t0.jpg", "photos/t1.jpg", "names two photographs alike"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(monkeypatch, tmp_path, tiny_voc, old, new, said):
    dataset = _table(monkeypatch, tmp_path)
    write_animals(tmp_path, tiny_voc)
    table = tmp_path / "data" / "animals" / "labels.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises((DataError, StageError), match=said):
        dataset.read(tmp_path)


def test_a_missing_table_is_named(monkeypatch, tmp_path):
    with pytest.raises(DataError, match=r"labels\.csv cannot be read"):
        _table(monkeypatch, tmp_path).read(tmp_path)


# ---------------------------------------------------------------- by DVC


def outdated(clone: Path) -> set[str]:
    """The stages that the next ``dvc repro`` would begin with."""
    dvc(clone, clone, "repro", "code")
    return set(json.loads(dvc(clone, clone, "status", "--json"))) - {"code"}


def members(content: dict[str, Any], variants: set[str], methods: set[str]) -> set[str]:
    """Stages of some variants and methods, as DVC calls them."""
    names = {"all": set(), "variant": variants & set(content["variants"]), "method": methods & set(content["methods"])}
    return {f"{stage}@{name}" for stage, one in STAGES.items() for name in names[one.runs_for]}


def runs_in_mlflow(project: Path) -> set[str]:
    """The methods that MLflow has a run of."""
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        return {value for (value,) in database.execute("SELECT value FROM tags WHERE key = 'method'")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A copy of the repository that has run with the shipped methods; no DeepLab starts from a classifier."""
    folder = copied(tmp_path_factory.mktemp("by_dvc") / "demo")
    content = chain.shrunk(merged(real_content(), {"segtrain": {"deeplab": {"weights": None}}}))
    write_yaml(folder, content)
    everything = members(content, set(content["variants"]), set(content["methods"]))
    assert repro(folder, folder) == {"code", "dataset", "report", *everything}
    return folder


@pytest.mark.slow
def test_code_that_decides_nothing_of_a_method_runs_nothing_again(demo):
    assert outdated(demo) == set()
    gcn = demo / "wsgcn" / "propagate" / "gcn.py"
    gcn.write_text(gcn.read_text().replace("from __future__", "# a remark\nfrom __future__"))
    extend(demo, ["tiny-convnet"])
    assert outdated(demo) == set()


@pytest.mark.slow
def test_new_methods_run_nothing_of_the_others_again(demo):
    extend(demo, DEMO_EXAMPLES)
    write_arrays(demo / "data" / "cams", demo / "artifacts" / "dataset" / "index.json")
    content = with_examples(merged(real_content(), MADE_OF_EXISTING_PARTS), DEMO_EXAMPLES)
    write_yaml(demo, content)
    variants = set(content["variants"]) - set(real_content()["variants"])
    methods = set(content["methods"]) - set(real_content()["methods"])
    assert variants == {"C", "A", "T", "X"}
    assert methods == {*ADDED_METHODS, "WSGCN-X"}
    assert repro(demo, demo) == {"code", "report", *members(content, variants, methods)}
    _assert_runs_to_the_report(demo, list(content["methods"]))
    assert runs_in_mlflow(demo) == set(content["methods"])
    assert repro(demo, demo) == {"code"}

    write_arrays(demo / "data" / "cams", demo / "artifacts" / "dataset" / "index.json", seed=1)
    again = repro(demo, demo)
    assert {"cams@A", "propagate@WSGCN-A"} < again <= {"code", "report", *members(content, {"A"}, {"WSGCN-A"})}

    walk = demo / "wsgcn" / "propagate" / "walk.py"
    walk.write_text(walk.read_text().replace("_COLUMNS = 16", "_COLUMNS = 8"))
    walked = [method for method in content["methods"] if method != "Smooth-I"]
    assert outdated(demo) == {f"{stage}@{method}" for stage in ("propagate", "evaluate-labels") for method in walked}


@pytest.mark.slow
def test_a_project_of_a_table_runs_by_dvc(clone, tiny_voc, tmp_path):
    project = tmp_path / "animals"
    init_project(project, "voc12-mobile", None, None)
    write_animals(project, tiny_voc)
    content = without_shipped(with_examples(real_content(), ["csv"]), keep="IRNet")
    write_yaml(project, content)
    assert repro(clone, project) == {"code", "dataset", "report", *members(content, {"I"}, {"IRNet"})}
    _assert_runs_to_the_report(project, ["IRNet"])
    assert runs_in_mlflow(project) == {"IRNet"}
    assert repro(clone, project) == {"code", "dataset"}  # which looks for itself at what lies outside of the project

    table = project / "data" / "animals" / "labels.csv"
    table.write_text(table.read_text().replace(",cat,val", ",dog,val"))
    assert {"code", "dataset"} < repro(clone, project)


@pytest.mark.slow
def test_the_examples_have_the_types_that_they_say(clone):
    output([sys.executable, "-m", "mypy"], clone)
