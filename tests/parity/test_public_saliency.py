"""Background by saliency beside the scripts of GroupWSSS and MCIS that make their labels, run as they are."""

import runpy
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.parity.public import MARKS, PUBLIC
from wsgcn.ops.resize import to_class_ids
from wsgcn.ops.saliency import background_by_saliency
from wsgcn.vocabulary import IGNORE

pytestmark = MARKS
SCRIPTS = [
    # work tree, script; where it looks for CAMs, where it writes; CAM value, conflict, smallest foreground score
    ("group", "gen_labels.py", "feat_1", "proxy_label_1", 0.8, 0.9, 0.0),
    ("mcis", "Classifier/gen_gt.py", "runs2/exp1_mcis/att_clear_epoch10", "proxy-gt", 0.95, 0.99, 0.3),
]
CLASSES = (3, 11)
"""As the scripts count them: without background, from 0."""


def _run(source, saliency, cams, monkeypatch, folder, places):
    """What a script writes of one photograph, ``(h, w)``."""
    read, write = places
    for place in ("sal", read, write):
        (folder / place).mkdir(parents=True)
    (folder / "train.txt").write_text("a 3 11\n")
    Image.fromarray(saliency).save(folder / "sal" / "a.png")
    for number, cam in zip(CLASSES, cams):
        Image.fromarray(cam).save(folder / read / f"a_{number}.png")
    cv2 = ModuleType("cv2")
    cv2.imread = lambda path, mode=1: np.array(Image.open(path)) if mode == 0 else None
    pool = SimpleNamespace(map=lambda work, items: [*map(work, items)], close=lambda: None, join=lambda: None)
    threads = ModuleType("multiprocessing")
    threads.Pool = lambda processes: pool
    dense = ModuleType("pydensecrf")
    dense.densecrf = ModuleType("pydensecrf.densecrf")
    stand_ins = {"cv2": cv2, "multiprocessing": threads, "pydensecrf": dense, "pydensecrf.densecrf": dense.densecrf}
    for name, module in stand_ins.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(folder)
    lines = source.splitlines()
    paths = {"train_lst_path": "train.txt", "sal_path": "sal/", "att_path": f"{read}/", "save_path": f"{write}/"}
    for name, value in paths.items():
        (number,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} =")]
        lines[number] = f"{name} = {value!r}"
    script = folder / "script.py"
    script.write_text("\n".join(lines))
    runpy.run_path(str(script))
    return np.array(Image.open(folder / write / "a.png"))


@pytest.mark.parametrize(("project", "script", "read", "write", "cam", "conflict", "floor"), SCRIPTS)
def test_labels_but_for_conflicts_where_a_cam_is_best(
    project, script, read, write, cam, conflict, floor, monkeypatch, tmp_path
):
    path = PUBLIC / project / script
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    random = np.random.default_rng(0)
    saliency = (random.random((90, 110)) ** 3 * 255).astype(np.uint8)
    levels = (random.beta(0.3, 0.4, (2, 90, 110)) * 255).round().astype(np.uint8)
    theirs = _run(path.read_text(), saliency, levels, monkeypatch, tmp_path, (read, write))
    assert (levels.min(), levels.max()) == (0, 255)
    cams, shown = levels.astype(np.float32) / 255, saliency.astype(np.float32) / 255
    own = np.where(cams.max(axis=0) < floor, IGNORE, cams.argmax(axis=0) + 1).astype(np.uint8)
    places = background_by_saliency(own, cams, shown, 0.125, cam)
    found = to_class_ids(places, np.array([0, *(number + 1 for number in CLASSES)]))
    conflicts = (np.stack([1 - shown, *cams]) > conflict).sum(axis=0) > 1
    left_out = conflicts & (cams.max(axis=0) > 1 - shown)
    assert (theirs[conflicts] == IGNORE).all()
    assert (found[conflicts & ~left_out] == IGNORE).all()
    assert left_out.any()
    assert (found[left_out] != IGNORE).all()
    np.testing.assert_array_equal(found[~left_out], theirs[~left_out])
    assert set(np.unique(theirs[~left_out])) == {0, 4, 12, IGNORE}
    certain = ~conflicts & (shown < 0.125) & (cams.max(axis=0) > cam) & (1 - shown >= cams.max(axis=0))
    assert certain.any()
    assert (found[certain] == IGNORE).all()
