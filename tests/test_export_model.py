"""ONNX: onnxruntime labels photographs of any size as PyTorch does; what the file says of itself."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.test_predict import CRF, NAMES, NETWORK, save_network
from wsgcn.cli import app
from wsgcn.errors import DataError, UsageError
from wsgcn.export_model import SMALLEST, export_onnx
from wsgcn.nets.deeplab import build_deeplab, load_deeplab, predict_probs
from wsgcn.predict import model_of, predict_photographs
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.label_maps import load_label_map

SIZES = ((97, 131), (40, 56), (120, 160), (33, 200), (SMALLEST, SMALLEST))
PLAIN = {"scales": [1.0], "flip": False, "merge": "mean", "crf": CRF}
EVERYTHING = {"scales": [0.5, 1.0, 1.25], "flip": True, "merge": "mean", "crf": CRF}
DEEPLAB_PYTORCH = {"scales": [1.0, 0.75, 1.7], "flip": True, "merge": "max", "crf": CRF}


def photographs():
    random = np.random.default_rng(5)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


def session_of(file):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def clear(probs):
    """Pixels whose two best classes are apart."""
    best = np.sort(probs, axis=0)
    return best[-1] - best[-2] > 1e-4


@pytest.mark.parametrize("settings", [PLAIN, EVERYTHING, DEEPLAB_PYTORCH], ids=["plain", "everything", "max"])
def test_probabilities_are_those_of_pytorch_at_any_size(tmp_path, settings):
    model = model_of(save_network(tmp_path / "network.pt"), NAMES, settings, crf=False)
    export_onnx(model, tmp_path / "network.onnx")
    session = session_of(tmp_path / "network.onnx")
    network = load_deeplab(model.checkpoint, torch.device("cpu"))
    for rgb_u8 in photographs():
        wanted = predict_probs(network, rgb_u8, model.scales, model.flip, model.merge)
        (found,) = session.run(["probs"], {"rgb": rgb_u8[None]})
        assert found.shape == (1, *wanted.shape)
        np.testing.assert_allclose(found[0], wanted, atol=1e-5)
        assert (found[0].argmax(0) == wanted.argmax(0))[clear(wanted)].all()


def test_every_kind_of_layer_is_translated(tmp_path):
    settings = NETWORK | {"backbone": "mobilenet-v2", "dilations": [6, 12]}  # wider than a small photograph's map
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "network.pt", "segtrain", settings, build_deeplab(settings, None))
    export_onnx(model_of(tmp_path / "network.pt", NAMES, PLAIN, crf=False), tmp_path / "network.onnx")
    network = load_deeplab(tmp_path / "network.pt", torch.device("cpu"))
    rgb_u8 = photographs()[1]
    (found,) = session_of(tmp_path / "network.onnx").run(None, {"rgb": rgb_u8[None]})
    np.testing.assert_allclose(found[0], predict_probs(network, rgb_u8, [1.0], False, "mean"), atol=1e-5)


def test_the_command_writes_what_predict_labels_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint = save_network(tmp_path / "network.pt")
    monkeypatch.setattr("wsgcn.cli.export_model.find_model", lambda *given, **more: plain)
    plain = model_of(checkpoint, NAMES, PLAIN, crf=False)
    done = CliRunner().invoke(app, ["export-model", "network.onnx", "--model", "network.pt"])
    assert done.exit_code == 0, done.output
    assert "network.onnx labels photographs in 3 classes" in done.output
    rgb_u8 = photographs()[0]
    Image.fromarray(rgb_u8).save("photo.png")
    predict_photographs(plain, [tmp_path / "photo.png"], tmp_path / "out", "cpu", 1, False)
    (probs,) = session_of("network.onnx").run(None, {"rgb": rgb_u8[None]})
    assert (load_label_map(tmp_path / "out/labels/photo.png") == probs[0].argmax(0))[clear(probs[0])].all()
    assert [path.name for path in tmp_path.glob("*.onnx*")] == ["network.onnx"]


def test_the_file_says_what_is_in_it(tmp_path):
    export_onnx(model_of(save_network(tmp_path / "network.pt"), NAMES, PLAIN, crf=True), tmp_path / "network.onnx")
    content = onnx.load(tmp_path / "network.onnx")
    onnx.checker.check_model(content)
    said = {one.key: one.value for one in content.metadata_props}
    assert json.loads(said["class_names"]) == list(NAMES)
    assert [json.loads(said[name]) for name in ("scales", "flip", "merge")] == [[1.0], False, "mean"]
    assert "the dense CRF is not" in said["note"]
    (given,), (found,) = content.graph.input, content.graph.output
    assert [one.dim_param or one.dim_value for one in given.type.tensor_type.shape.dim] == [1, "height", "width", 3]
    assert [one.dim_param or one.dim_value for one in found.type.tensor_type.shape.dim][:2] == [1, 3]


def test_without_the_packages_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    model = model_of(save_network(tmp_path / "network.pt"), NAMES, PLAIN, crf=False)
    with pytest.raises(UsageError, match=r"pip install 'wsgcn\[onnx\]'"):
        export_onnx(model, tmp_path / "network.onnx")
    assert not (tmp_path / "network.onnx").exists()


def test_a_network_of_other_classes_is_refused(tmp_path):
    model = model_of(save_network(tmp_path / "network.pt"), NAMES[:2], PLAIN, crf=False)
    with pytest.raises(DataError, match="knows 3 classes, but there are 2 names"):
        export_onnx(model, tmp_path / "network.onnx")
