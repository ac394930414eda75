"""Dataset ``tagged``: any folder of photographs with a table."""

import unicodedata

import pytest
from PIL import Image

from wsgcn.dataset.tagged import Tagged
from wsgcn.errors import DataError, StageError
from wsgcn.store.fingerprints import file_digest

LINES = ["b 1.JPG,dog;cat,train;score", "deep/ä.png,cat,val", "unused.jpg,horse,other"]


@pytest.fixture
def photographs(tmp_path):
    root = tmp_path / "photographs"
    for name, size in (("b 1.JPG", (8, 6)), (unicodedata.normalize("NFD", "deep/ä.png"), (5, 7))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(root / name)
    return root


def dataset(tmp_path, lines, **changes):
    (tmp_path / "photographs.csv").write_text("image,labels,splits\n" + "\n".join(lines) + "\n")
    return Tagged(
        **{
            "kind": "tagged",
            "name": "mine",
            "root": str(tmp_path / "photographs"),
            "table": str(tmp_path / "photographs.csv"),
            "classes": ("background", "cat", "dog"),
            "train_split": "train",
            "score_split": "score",
            "val_split": "val",
            "max_megapixels": 50,
            "work_megapixels": 1,
        }
        | changes
    )


def test_the_index_holds_what_the_lists_name(tmp_path, photographs):
    index = dataset(tmp_path, LINES).read(tmp_path)
    first, second = index.images
    assert (first.id, first.photo, first.class_ids, first.splits) == ("b 1", "b 1.JPG", (1, 2), ("train", "score"))
    assert (first.height, first.width) == (6, 8)
    assert second.id == unicodedata.normalize("NFC", "deep__ä")
    assert index.photo_path(second).is_file()
    assert first.digest == file_digest(photographs / "b 1.JPG")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c.jpg,cat,train", "has no photograph c.jpg: add it, or take its line out"),
        ("../b.jpg,cat,train", "has no photograph"),
        ("/etc/x.jpg,cat,train", "has no photograph"),
        ("x.jpg,horse,train", "is labelled horse in .* which dataset.classes .* known are cat, dog"),
        ("x.jpg,,train", "has no label"),
        ("b 1.png,cat,train", "b 1.png and b 1.JPG have one id"),
    ],
)
def test_every_bad_line_is_named(tmp_path, photographs, line, reason):
    with pytest.raises(StageError, match=reason) as caught:
        dataset(tmp_path, [*LINES, line]).read(tmp_path)
    assert [*caught.value.failures] == [line.split(",")[0]]


def test_lists_without_a_photograph_are_refused(tmp_path, photographs):
    with pytest.raises(DataError, match="has no photograph of a, b, c: see its column splits"):
        dataset(tmp_path, LINES, train_split="a", score_split="b", val_split="c").read(tmp_path)
