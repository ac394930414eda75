"""SC-CAM's own network and scripts, run as they are, beside ours."""

import importlib
import random
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from tests.parity import scripts, toy
from tests.parity.public import MARKS, PUBLIC, ours, photo, scrambled
from tests.parity.steps import PARAMS, saved_photo
from tests.reference.clusters import as_sets
from wsgcn.cams.cam import photo_maps
from wsgcn.cams.clusters import sub_categories
from wsgcn.cams.net import CamNet
from wsgcn.cams.sub_category_fit import SubCategoryLoss, photo_features
from wsgcn.nets.base import to_input
from wsgcn.training.descent import Descent
from wsgcn.training.loop import fabric_for
from wsgcn.training.tags import multi_hot

pytestmark = MARKS
PROJECT = PUBLIC / "sc-cam"
SOURCE = PARAMS.cams["sc-cam"]
CLASSES = 20


def test_network_features_and_both_heads(theirs, tmp_path):
    x = to_input(photo(61, 80))[None]
    with torch.no_grad():
        there = scrambled(theirs("sc-cam", "network.resnet38_cls").Net(10, 3), 1)
        mine = SubCategoryLoss(ours("sc-cam", there.state_dict()), SOURCE.train).eval()
        mine.sub_classifier.weight.copy_(there.fc8_200.weight)
        logits, features, _, sub_logits, _ = there(x, 3)
        torch.testing.assert_close(mine._logits(x)[0], logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine._logits(x)[1], sub_logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine.net.activation_maps(x), there.forward_two_cam(x)[0], rtol=1e-4, atol=1e-4)
        found = photo_features(mine.net, saved_photo(tmp_path, photo(61, 80)), torch.device("cpu"))
    np.testing.assert_allclose(found, features[0], rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- sub-categories


def _clustered(clusters, random_state):
    """Photographs of one to three classes, and features in as many clear groups as there are to be found."""
    class_ids, features = [], []
    for number in range(15 * CLASSES):
        ids = {number % CLASSES + 1, *random_state.choice(CLASSES, number % 3, replace=False) + 1}
        class_ids.append(tuple(sorted(int(one) for one in ids)))
        group = np.eye(clusters)[number // CLASSES % clusters] * 50
        features.append(np.concatenate([group, random_state.normal(size=5)]))
    return class_ids, np.array(features, np.float32)


def test_sub_categories_are_those_of_the_script(tmp_path, monkeypatch, without):
    """Numbers of clusters differ, the clusters do not."""
    clusters = 3
    class_ids, features = _clustered(clusters, np.random.default_rng(0))
    vectors = np.array([multi_hot(ids, CLASSES).numpy() for ids in class_ids])
    names = [f"2007_{number:06}" for number in range(len(class_ids))]
    monkeypatch.chdir(tmp_path)
    for folder in ("voc12", "feature", "label"):
        (tmp_path / folder).mkdir()
    (tmp_path / "voc12" / "train_aug.txt").write_text("".join(f"/JPEGImages/{name}.jpg\n" for name in names))
    np.save("voc12/train_label.npy", vectors)
    listed = [vector for position in range(CLASSES) for vector in vectors if vector[position]]
    np.save("voc12/20_class_labels.npy", listed)
    np.save("feature/R0_feature.npy", features)
    without("scipy.misc")
    options = ["--k_cluster", str(clusters), "--for_round_nb", "1", "--save_folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["create_pseudo_label.py", *options])
    runpy.run_path(str(PROJECT / "create_pseudo_label.py"), run_name="__main__")
    order = (tmp_path / "label" / "R1_train_filename_list.txt").read_text().split()
    assert sorted(order) == names
    place = [order.index(name) for name in names]
    theirs_sub, theirs_classes = (np.load(f"label/R1_train_label_{one}.npy")[place] for one in (200, 20))
    assert (theirs_classes == vectors).all()

    found = sub_categories(features, class_ids, CLASSES, clusters, run_seed=42, round_number=1)
    mine = np.array([multi_hot(ids, CLASSES * clusters).numpy() for ids in found])
    for class_id in range(CLASSES):
        part = slice(class_id * clusters, (class_id + 1) * clusters)
        shown = vectors[:, class_id] > 0
        assert (mine[~shown, part] == 0).all()
        assert (theirs_sub[~shown, part] == 0).all()
        sets = [as_sets(labels[shown, part].argmax(1).tolist()) for labels in (mine, theirs_sub)]
        assert sets[0] == sets[1]
        assert len(sets[0]) == clusters


# ---------------------------------------------------------------- training


class Colours(nn.Module):
    """A backbone whose last map is the photograph, mixed: for square photographs of one colour crops do not matter."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 6, 1, bias=False)
        self.channels = [6]

    def forward(self, x):
        return [torch.relu(self.mix(x))]


def _training_files(folder, labels, sub_labels):
    (folder / "label").mkdir()
    (folder / "JPEGImages").mkdir()
    names = [f"photo{number}" for number in range(len(labels))]
    for number, name in enumerate(names):
        colour = [40 + 60 * number, 200 - 50 * number, 90]
        PIL.Image.fromarray(np.full((64, 64, 3), colour, np.uint8)).save(
            folder / "JPEGImages" / f"{name}.jpg", format="png"
        )
    (folder / "label" / "R1_train_filename_list.txt").write_text("".join(f"{name}\n" for name in names))
    np.save(folder / "label" / "R1_train_label_200.npy", sub_labels)
    np.save(folder / "label" / "R1_train_label_20.npy", labels)
    return names


def test_training_follows_that_of_the_script(tmp_path, monkeypatch, theirs):
    """Three updates by all photographs: the losses of the script, of its optimiser and its schedule, are ours."""
    fabric = fabric_for(PARAMS.runtime.model_copy(update={"device": "cpu"}))
    importlib.import_module("torch._dynamo")  # which optimisers import, and which looks for the modules below
    labels = np.array([multi_hot(ids, CLASSES).numpy() for ids in ((1,), (2, 15), (7,))])
    sub_labels = np.array([multi_hot(ids, 200).numpy() for ids in ((3,), (11, 150), (61,))])
    names = _training_files(tmp_path, labels, sub_labels)
    groups = theirs("sc-cam", "network.resnet38_cls").Net.get_parameter_groups

    class Net(nn.Module):
        get_parameter_groups = groups

        def __init__(self, *_):
            super().__init__()
            self.backbone = Colours()
            self.fc8_20, self.fc8_200 = nn.Conv2d(6, 20, 1, bias=False), nn.Conv2d(6, 200, 1, bias=False)
            self.from_scratch_layers = [self.fc8_20, self.fc8_200]

        def forward(self, x, _):
            pooled = self.backbone(x)[-1].mean(dim=(2, 3), keepdim=True)
            logits, sub_logits = self.fc8_20(pooled).flatten(1), self.fc8_200(pooled).flatten(1)
            return logits, None, logits.sigmoid(), sub_logits, sub_logits.sigmoid()

    torch.manual_seed(0)
    there, seen = Net(), []
    start = {key: one.clone() for key, one in there.state_dict().items()}
    load = np.load
    scripts._module(monkeypatch, "given", Net=lambda *_: there)
    scripts._module(
        monkeypatch,
        "tensorboardX",
        SummaryWriter=lambda _: SimpleNamespace(
            add_scalar=lambda name, value, step: seen.append(value) if name == "Total Loss" else None
        ),
    )
    unchanged = dict.fromkeys(("ColorJitter", "RandomHorizontalFlip"), lambda **_: lambda image: image)
    same = SimpleNamespace(Compose=lambda steps: steps[0], **unchanged)
    scripts._module(monkeypatch, "torchvision", transforms=same)
    scripts._module(monkeypatch, "scipy.misc")
    parents = SimpleNamespace(tolist=lambda: dict(zip(names, labels, strict=True)))
    monkeypatch.setattr(np, "load", lambda path: parents if path == "./voc12/cls_labels.npy" else load(path))
    monkeypatch.setattr(PIL.Image, "CUBIC", PIL.Image.Resampling.BICUBIC, raising=False)
    monkeypatch.setattr(torch, "load", lambda *_: {})
    monkeypatch.setattr(torch, "save", lambda *_: None)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self, **_: self)
    monkeypatch.setattr(nn.Module, "cuda", lambda self: self)
    loader = torch.utils.data.DataLoader
    monkeypatch.setattr(
        torch.utils.data, "DataLoader", lambda data, **given: loader(data, given["batch_size"], drop_last=True)
    )
    monkeypatch.chdir(tmp_path)
    options = {"batch_size": 3, "max_epoches": 3, "network": "given", "lr": 0.5, "weights": "", "round_nb": 1}
    options |= {"voc12_root": tmp_path, "save_folder": tmp_path, "session_name": "log", "num_workers": 0}
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["train_cls.py", *given])
    stdout, state = sys.stdout, random.getstate()
    try:
        runpy.run_path(str(PROJECT / "train_cls.py"), run_name="__main__")
    finally:
        sys.stdout = stdout  # its log takes it over
        random.setstate(state)

    # The script hands its weight decay, 5e-4, to SGD as momentum, where the preset has none.
    optimiser = SOURCE.train.optimiser.model_copy(update={"momentum": 5e-4})
    train = SOURCE.train.model_copy(update={"lr": 0.5, "freeze_norm": "none", "optimiser": optimiser})
    mine = SubCategoryLoss(CamNet(Colours(), CLASSES, dropout=0), train)
    mine.net.backbone.mix.weight.data.copy_(start["backbone.mix.weight"])
    mine.net.classifier.weight.data.copy_(start["fc8_20.weight"])
    mine.sub_classifier.weight.data.copy_(start["fc8_200.weight"])
    descent = Descent(mine, train, fabric=fabric, steps=3, section="test")
    photos = [np.asarray(PIL.Image.open(tmp_path / "JPEGImages" / f"{name}.jpg")) for name in names]
    batch = (torch.stack([to_input(one) for one in photos]), torch.from_numpy(labels), torch.from_numpy(sub_labels))
    losses = [descent.update([batch]).loss for _ in range(3)]
    np.testing.assert_allclose(losses, seen, rtol=1e-5)
    assert seen[2] < seen[0]
    torch.testing.assert_close(mine.sub_classifier.weight, there.fc8_200.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(mine.net.backbone.mix.weight, there.backbone.mix.weight, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- inference


def test_cams_are_those_of_the_script(tmp_path, monkeypatch):
    """The classes' maps are what it saves."""
    size, class_ids = (75, 101), (3, 12)
    rgb_u8, net = toy.photo(*size), toy.ToyNet(8)
    net.forward_two_cam = lambda x: (net.activation_maps(x), torch.zeros(len(x), 200, 2, 2))
    if not PROJECT.is_dir():
        pytest.skip(f"{PROJECT} is not there")
    with scripts.public_project(PROJECT, tmp_path) as caught:
        scripts._module(monkeypatch, "cv2", IMREAD_GRAYSCALE=0, imread=lambda *_: np.zeros(size, np.uint8))
        monkeypatch.setattr(np, "int", int, raising=False)
        importlib.import_module("tool.infer_utils").draw_single_heatmap = lambda *_: None
        utils = importlib.import_module("tool.iouutils")
        utils.scores = utils.record_score = lambda *_, **__: None
        caught.read = {scripts.NAME: scripts.shown(class_ids)}
        net.eval()
        with monkeypatch.context() as patch:
            plain = scripts._module
            patch.setattr(
                scripts, "_module", lambda where, name, **content: plain(where, name, Net=lambda *_: content["Net"]())
            )
            options = ["--save_path", str(tmp_path / "out"), "--k_cluster", "10", "--save_out_cam", "1"]
            scripts._run(caught, "infer_cls.py", net, rgb_u8, options)
        cams = caught.only()
    assert sorted(cams) == [one - 1 for one in class_ids]
    found, _ = photo_maps(toy.ToyNet(8), saved_photo(tmp_path, rgb_u8), class_ids, SOURCE.infer, "cpu")
    assert np.abs(found - np.stack([cams[one - 1] for one in class_ids])).max() < 1e-4
    assert found.max() > 0.99
