"""Tables of tags, folders of photographs, and one folder a class."""

import unicodedata

import pytest
from PIL import Image

from wsgcn.dataset.tags import Tags, labelled_by_folder, read_tags, table_rows, tables_inside
from wsgcn.errors import DataError
from wsgcn.store.photos import find_photographs

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Bärbel 1.JPG") for form in ("NFC", "NFD"))


def write(path, text):
    path.write_bytes(text.encode())
    return path


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path, "png")


def test_a_table_as_people_write_it(tmp_path):
    text = '\ufeffimage,who,labels\r\n a.jpg ,me,dog; cat ;dog\r\n"b, c.png",you,\r\n' + DECOMPOSED + ",me,dog\r\n"
    found = read_tags(write(tmp_path / "tags.csv", text), "image", "labels")
    assert found == [Tags("a.jpg", ("dog", "cat")), Tags("b, c.png", ()), Tags(COMPOSED, ("dog",))]


def test_splits_are_read_and_written_alike(tmp_path):
    rows = [Tags("a.jpg", ("dog", "cat"), ("train", "score")), Tags("b.jpg", ("cat",), ("val",))]
    text = "image,labels,splits\n" + "".join(f"{','.join(row)}\n" for row in table_rows(rows))
    assert text.splitlines()[1] == "a.jpg,dog;cat,train;score"
    assert read_tags(write(tmp_path / "x.csv", text), "image", "labels", "splits") == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image;labels\na.jpg;dog\n", "no column image or labels: its first line must be image,labels"),
        ("image,label\na.jpg,dog\n", "no column labels:"),
        ("", "no column image or labels"),
        ("image,labels\n", "names no photograph"),
        ("image,labels\na.jpg,dog,cat\nb.jpg\n,dog\na.jpg,dog\n", "line 2 has not .*line 3 has not .*line 4 has not"),
        ("image,labels\na.jpg,dog\nb.jpg,dog\na.jpg,cat\n", "line 4 names a.jpg again"),
        ('image,labels\n"a.jpg,dog\n', "cannot be read"),
        ("image,labels\n\ud800", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, text, message):
    path = tmp_path / "tags.csv"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(DataError, match=message) as caught:
        read_tags(path, "image", "labels")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_tells_what_to_write(tmp_path):
    with pytest.raises(DataError, match="is missing: write a table with the columns image,labels"):
        read_tags(tmp_path / "none.csv", "image", "labels")


def test_photographs_are_found_whatever_their_names(tmp_path):
    names = [DECOMPOSED, "a b.webp", "deep/er/x.TIFF"]
    for name in (*names, ".hidden.png", ".trash/x.png"):
        photo(tmp_path / name)
    write(tmp_path / "notes.txt", "no photograph")
    assert find_photographs(tmp_path) == {COMPOSED: DECOMPOSED, "a b.webp": "a b.webp", "deep/er/x.TIFF": names[2]}
    assert tables_inside(tmp_path) == []
    write(tmp_path / "Tags.CSV", "")
    assert tables_inside(tmp_path) == [tmp_path / "Tags.CSV"]


def test_no_folder_and_no_photograph_are_refused(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        find_photographs(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no photograph with suffix \.jpg"):
        find_photographs(tmp_path)


def test_the_first_folder_is_the_class():
    found = labelled_by_folder(["cat/a.jpg", "cat/deep/b.jpg", "c.jpg"])
    assert [one.labels for one in found] == [("cat",), ("cat",), ()]
    assert [one.id for one in found] == ["cat__a", "cat__deep__b", "c"]
