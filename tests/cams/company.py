"""CAM sources that compare photographs, on the made-up devkit."""

from __future__ import annotations

from wsgcn.params import parse_params


def with_source(params, train, infer, kind):
    """The parameters with a CAM source ``own`` of a kind, its own numbers beside the classifier's, and a variant X."""
    content = params.model_dump(mode="json")
    irnet = content["cams"]["irnet"]
    content["cams"]["own"] = {
        "kind": kind,
        "train": irnet["train"] | {"batch": 3, "steps": 2} | train,
        "infer": irnet["infer"] | infer,
    }
    content["variants"]["X"] = content["variants"]["I"] | {"cams": "own"}
    return parse_params(content, "test")
