"""Compares the labels of an ONNX file with those of ``wsgcn predict --no-crf`` on the same photographs.

    wsgcn export-model pets.onnx --method WSGCN-I
    wsgcn predict PHOTOGRAPHS --out LABELS --method WSGCN-I --no-crf
    python -m tests.onnx_labels pets.onnx PHOTOGRAPHS LABELS

Prints how many photographs and pixels there are, and how many pixels have another label.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnxruntime

from wsgcn.export_model import INPUT, OUTPUT
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import find_photographs, load_photo, photo_id


def main(model: Path, photographs: Path, results: Path) -> None:
    """Label, compare, print."""
    session = onnxruntime.InferenceSession(model)
    pixels = other = 0
    names = find_photographs(photographs)
    for name, file in names.items():
        (probs,) = session.run([OUTPUT], {INPUT: load_photo(photographs / file)[None]})
        expected = load_label_map(results / "labels" / f"{photo_id(name)}.png")
        pixels += expected.size
        other += int((probs[0].argmax(axis=0) != expected).sum())
    sys.stdout.write(f"{len(names)} photographs, {pixels} pixels: {other} have another label\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
