"""Where each stage keeps its files."""

import json
from pathlib import Path

from wsgcn.store.paths import Artifacts


def test_paths_of_stages_do_not_collide():
    files = Artifacts(Path("artifacts"))
    paths = [
        files.index,
        files.checkpoint("cams-train", "I"),
        files.history("cams-train", "I"),
        files.arrays("cams", "I", "a"),
        files.arrays("cams", "P", "a"),
        files.label_map("crf", "IRNet", "a"),
        files.losses("WSGCN-I"),
        files.summary("propagate", "WSGCN-I"),
        files.scores("evaluate-labels", "WSGCN-I"),
        files.scores("evaluate", "WSGCN-I"),
        files.metrics("evaluate-labels", "WSGCN-I"),
        files.metrics("evaluate", "WSGCN-I"),
        files.photographs("WSGCN-I"),
        files.photographs("PSA"),
    ]
    assert len(set(paths)) == len(paths)
    assert files.arrays("propagate", "PSA", "a") == Path("artifacts/propagate/PSA/a.npz")
    assert json.dumps([str(path) for path in paths])
