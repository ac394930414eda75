"""What is found among somebody's photographs and tags before a project is made of them."""

import random

import numpy as np
import pytest
from PIL import Image

from wsgcn.dataset.survey import survey
from wsgcn.errors import DataError


def photo(path, shade=0, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), shade, dtype=np.uint8)).save(path, **how)


@pytest.fixture
def folder(tmp_path):
    """Twelve photographs of cats, eleven of dogs, one of both."""
    root = tmp_path / "photographs"
    rows = [(f"c{number} ü.png", "cat") for number in range(12)] + [(f"d{number}.PNG", "dog") for number in range(11)]
    rows.append(("both.webp", "cat;dog"))
    for shade, (name, _) in enumerate(rows):
        photo(root / name, shade)
    write(root, rows)
    return root


def write(root, rows):
    (root / "tags.csv").write_text("image,labels\n" + "".join(f"{name},{labels}\n" for name, labels in rows))


def add(root, line):
    with (root / "tags.csv").open("a") as file:
        file.write(line + "\n")


def found(root, table=None, masks=None, seed=1):
    result = survey(root, table, masks, "background", seed)
    return result, {one.what: one for one in result.findings}


def test_a_good_folder_becomes_lists_with_a_tenth_of_each_class_for_validation(folder):
    result, lines = found(folder)
    assert result.problems == []
    assert result.classes == ("background", "cat", "dog")
    assert result.scored == "train"
    assert lines["photographs"].count == "24"
    assert lines["classes"].note == "cat (13), dog (12)"
    assert lines["sizes"].count == "8 x 6"
    assert lines["masks"].count == "none"
    val = [one for one in result.photographs if one.splits == ("val",)]
    assert sorted(name for one in val for name in one.labels) == ["cat", "dog"]
    assert all(one.splits in (("train",), ("val",)) for one in result.photographs)


def test_the_lists_follow_from_the_seed_and_not_from_the_order_of_the_lines(folder):
    first, _ = found(folder)
    lines = (folder / "tags.csv").read_text().splitlines()
    random.Random(0).shuffle(lines[1:])
    (folder / "tags.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert found(folder)[0].photographs == first.photographs
    assert any(found(folder, seed=seed)[0].photographs != first.photographs for seed in range(2, 6))


def test_one_folder_a_class(tmp_path):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/3.png", "loose.png"):
        photo(tmp_path / name, len(name) + int(name[-5]) if name[-5].isdigit() else 99)
    photo(tmp_path / "dog/3.png", 200)
    result, lines = found(tmp_path)
    assert result.classes == ("background", "cat", "dog")
    assert lines["without a tag"].note == "left out: loose.png"
    assert lines["classes with fewer than 10 photographs"].note.endswith("cat (2), dog (2)")
    assert sum(one.splits == ("val",) for one in result.photographs) == 1


def test_masks_decide_what_is_scored_and_what_validates(folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    names = {f"c{number} ü" for number in range(6)} | {f"d{number}" for number in range(6)}
    for name in names:
        (masks / f"{name}.png").touch()
    result, lines = found(folder, masks=masks)
    assert lines["masks"].count == "12 of 24"
    assert result.scored == "score"
    assert {one.id for one in result.photographs if {"score", "val"} & {*one.splits}} == names
    assert found(folder, masks=tmp_path)[0].problems == [
        f"masks (0): {tmp_path} holds no <id>.png of these photographs"
    ]


def test_few_masks_are_told_before_a_project_is_made(folder, tmp_path):
    masks = tmp_path / "few"
    masks.mkdir()
    (masks / "c1 ü.png").touch()
    (problem,) = found(folder, masks=masks)[0].problems
    assert problem.startswith("no photograph for list val (0)")
    (masks / "c2 ü.png").touch()
    result, lines = found(folder, masks=masks)
    assert result.problems == []
    assert (lines["list val"].count, lines["list score"].count) == ("1", "1")


def test_lists_of_the_table_are_told(folder):
    rows = (folder / "tags.csv").read_text().splitlines()
    (folder / "tags.csv").write_text("\n".join([f"{rows[0]},splits", *(f"{row},val" for row in rows[1:])]))
    assert found(folder)[1]["with lists in the table"].count == "24"


def test_rotated_photographs_are_told_and_sized_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(folder / "turned.jpg", 77, exif=exif)
    add(folder, "turned.jpg,cat")
    _, lines = found(folder)
    assert lines["rotated by EXIF"].note.endswith("turned.jpg")
    assert lines["sizes"].count == "8 x 6 to 6 x 8"


def test_copies_never_validate_and_may_not_contradict_each_other(folder):
    for name in ("copy.png", "other.png"):
        (folder / name).write_bytes((folder / "c0 ü.png").read_bytes())
    add(folder, "copy.png,cat")
    for seed in range(20):
        result, lines = found(folder, seed=seed)
        assert {one.image: one.splits for one in result.photographs}["copy.png"] == ("train",)
        assert {one.image: one.splits for one in result.photographs}["c0 ü.png"] == ("train",)
    assert lines["copies"].note.endswith("copy.png = c0 ü.png")
    add(folder, "other.png,dog")
    (problem,) = found(folder)[0].problems
    assert problem.startswith("copies with other labels (1): keep one")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("none.png,cat", "tags without a photograph (1): mend the names, or take the lines out: none.png"),
        ("whole.png,Cat", "classes with almost the same name (1): write one of them everywhere: Cat (1) / cat (13)"),
        ("whole.png,c at", "almost the same name (1): write one of them everywhere: c at (1) / cat (13)"),
        ("whole.png,background", "a class with a name of ours (1)"),
        ("broken.jpg,cat", "unreadable (1): replace or remove them: "),
        ("d1.jpg,dog", "names alike but for suffix or folders (2): rename them: d1.PNG, d1.jpg"),
    ],
)
def test_what_contradicts_itself_stops(folder, line, problem):
    photo(folder / "whole.png", 50)
    photo(folder / "d1.jpg", 51)
    photo(folder / "big.jpg", 52)
    (folder / "broken.jpg").write_bytes((folder / "big.jpg").read_bytes()[:-40])
    add(folder, line)
    (told,) = found(folder)[0].problems
    assert problem in told


def test_a_photograph_without_a_tag_is_left_out_and_told(folder):
    photo(folder / "loose.png", 60)
    photo(folder / "empty.png", 61)
    add(folder, "empty.png,")
    result, lines = found(folder)
    assert result.problems == []
    assert lines["without a tag"].note == "left out: empty.png, loose.png"
    assert not {"loose.png", "empty.png"} & {one.image for one in result.photographs}


def test_a_class_folder_with_a_separator_in_its_name_stops(tmp_path):
    for number, name in enumerate(("cat", "cat", "dog;big", "dog;big")):
        photo(tmp_path / name / f"{number}.png", number)
    (problem,) = found(tmp_path)[0].problems
    assert problem == "classes with ';' in their name (1): it separates labels; rename them: dog;big"


def test_one_photograph_cannot_teach_and_validate(tmp_path):
    photo(tmp_path / "cat/1.png")
    problems = found(tmp_path)[0].problems
    assert problems == [
        "no photograph for list val (0): no network sees them before it is evaluated; "
        "add photographs, or masks, so that each class is on several"
    ]


def test_neither_table_nor_folders_and_two_tables_are_refused(tmp_path):
    photo(tmp_path / "1.png")
    with pytest.raises(DataError, match="holds no CSV file and no folder a class"):
        found(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("image,labels\n1.png,cat\n")
    with pytest.raises(DataError, match=r"holds a\.csv and b\.csv: name one of them with --labels"):
        found(tmp_path)
    assert found(tmp_path, tmp_path / "a.csv")[0].classes == ("background", "cat")
