"""The weights that ship for the demo are what the script makes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wsgcn.dataset.figures import DEMO, OTHERS, covered
from wsgcn.dataset.pretrain import AROUND, PICTURES, STEPS, main, portraits
from wsgcn.nets.build import build_backbone
from wsgcn.vocabulary import PRESET_FOLDER

SHIPPED = PRESET_FOLDER / "resnet-small.pt"


def content(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def test_the_script_makes_a_file_like_the_one_that_ships(tmp_path: Path) -> None:
    for name in ("one.pt", "two.pt"):
        main(tmp_path / name, pictures=8, steps=2)
    made, again, shipped = content(tmp_path / "one.pt"), content(tmp_path / "two.pt"), content(SHIPPED)
    assert {key: (value.shape, value.dtype) for key, value in made.items()} == {
        key: (value.shape, value.dtype) for key, value in shipped.items()
    }
    assert all(torch.equal(made[key], again[key]) for key in made)
    assert {value.dtype for value in made.values()} == {torch.float16}
    build_backbone("resnet-small", 8, str(tmp_path / "one.pt"))


def test_the_shipped_file_is_small_and_finite() -> None:
    assert SHIPPED.stat().st_size < 1_000_000
    assert all(value.isfinite().all() for value in content(SHIPPED).values())


def test_portraits_show_one_figure_each() -> None:
    found = portraits(6)
    assert {shown.shape for shown, _ in found.values()} == {(AROUND, AROUND, 3)}
    assert {class_id for _, class_id in found.values()} <= set(range(1, len(OTHERS) + 1))


def test_no_figure_of_the_demo_is_learned_beforehand() -> None:
    v, u = np.mgrid[-1:1:32j, -1:1:32j]
    face = np.hypot(u, v) < 1
    demo, others = ([figure(u, v)[face] > 0 for figure in figures] for figures in (DEMO, OTHERS))
    assert min((one != other).mean() for one in demo for other in others) > 0.1
    assert all(0.2 < share < 0.6 for share in covered(OTHERS))


def figures_told(weights: Path) -> float:
    """Share of unseen portraits whose figure a linear classifier on these frozen features tells."""
    net = build_backbone("resnet-small", 16, str(weights)).eval()
    shown = [*portraits(2400, seed=2).values()]  # of 600 the share is uncertain by two points
    with torch.inference_mode():
        maps = [net(net.to_input(rgb_u8)[None])[-1].mean(dim=(2, 3))[0] for rgb_u8, _ in shown]
    features = torch.cat([torch.stack(maps), torch.ones(len(maps), 1)], dim=1)
    classes = torch.tensor([class_id - 1 for _, class_id in shown])
    half = len(classes) // 2
    known = features[:half]
    ridge = known.T @ known + 1e-2 * half * torch.eye(known.shape[1])
    weight = torch.linalg.solve(ridge, known.T @ torch.nn.functional.one_hot(classes[:half], len(OTHERS)).float())
    return float(((features[half:] @ weight).argmax(1) == classes[half:]).float().mean())


@pytest.mark.slow
def test_the_script_makes_weights_as_good_as_those_that_ship(tmp_path: Path) -> None:
    """Not the same bytes, for processors add up in different orders."""
    main(tmp_path / "made.pt", pictures=PICTURES, steps=STEPS)
    shipped = figures_told(SHIPPED)
    assert shipped > 0.5
    assert abs(figures_told(tmp_path / "made.pt") - shipped) < 0.05
