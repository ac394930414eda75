"""Panels show what they say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsgcn.ops.grid import at_cells
from wsgcn.ops.panels import CAPTION, TILE_HEIGHT, choose, draw_panel, heat_overlay, label_overlay
from wsgcn.vocabulary import palette


@given(st.integers(1, 60), st.integers(0, 70))
def test_choose_is_spread_and_distinct(total, count):
    ids = [f"{number:03}" for number in range(total)]
    chosen = choose(ids, count)
    assert len(chosen) == len(set(chosen)) == min(count, total)
    assert chosen == sorted(chosen)
    if count > 1:
        assert (chosen[0], chosen[-1]) == (ids[0], ids[-1])


def test_label_overlay_tints_by_class():
    rgb = np.full((1, 3, 3), 100, dtype=np.uint8)
    labels = np.array([[0, 1, 255]], dtype=np.uint8)
    background, plane, unlabelled = label_overlay(rgb, labels)[0].astype(int)
    assert (background < 60).all()
    assert plane[0] > plane[1] == plane[2]
    assert palette()[3:6] == [128, 0, 0]
    assert (unlabelled > 200).all()


def test_a_class_that_is_dark_itself_has_a_bright_border_and_background_none():
    labels = np.zeros((9, 9), dtype=np.uint8)
    labels[2:7, 2:7] = 8  # VOC's cat is (64, 0, 0)
    labels[8] = 255
    overlay = label_overlay(np.zeros((9, 9, 3), dtype=np.uint8), labels)
    assert palette()[24:27] == [64, 0, 0]
    bright = (overlay == (255, 0, 0)).all(axis=2)
    ring = np.zeros((9, 9), dtype=bool)
    ring[2:7, 2:7] = True
    ring[3:6, 3:6] = False
    assert (bright == ring).all()
    assert overlay[4, 4].tolist() == [35, 0, 0]


def test_heat_overlay_goes_from_dark_to_bright():
    rgb = np.zeros((1, 3, 3), dtype=np.uint8)
    cold, warm, hot = heat_overlay(rgb, np.array([[0, 0.5, 1]], dtype=np.float32))[0].astype(int).sum(axis=1)
    assert cold < warm < hot


def test_a_panel_holds_its_tiles_and_wraps_its_legend():
    tiles = [(name, np.full((40, 80, 3), value, dtype=np.uint8)) for name, value in (("a", 0), ("b", 90))]
    small = draw_panel(tiles, [(0, "background")])
    large = draw_panel(tiles, [(number, f"a class with the long name {number}") for number in range(12)])
    assert small.width == large.width == 3 * 10 + 2 * 2 * TILE_HEIGHT
    assert large.height > small.height
    assert small.getpixel((10 + TILE_HEIGHT, 32 + TILE_HEIGHT // 2)) == (0, 0, 0)
    assert small.getpixel((20 + 3 * TILE_HEIGHT, 32 + TILE_HEIGHT // 2)) == (90, 90, 90)


def test_tiles_go_on_in_further_rows_that_are_filled_evenly():
    step, values = 2 * TILE_HEIGHT + 10, range(0, 250, 50)
    tiles = [(str(value), np.full((40, 80, 3), value, dtype=np.uint8)) for value in values]
    panel = draw_panel(tiles, [(0, "background")], title="five", width=10 + 4 * step + 9)
    row = draw_panel(tiles, [(0, "background")])
    assert panel.width == 10 + 3 * step  # four fit, but then there would be one in the second row
    assert row.width == 10 + 5 * step
    assert panel.height == row.height + 32 + TILE_HEIGHT + 32
    top = 10 + 32 + 22 + TILE_HEIGHT // 2
    places = [(10 + TILE_HEIGHT + step * (number % 3), top + (TILE_HEIGHT + 32) * (number // 3)) for number in range(5)]
    assert [panel.getpixel(place) for place in places] == [(value,) * 3 for value in values]
    assert draw_panel(tiles, [(0, "background")], width=1).width == 10 + step


def test_a_narrow_tile_makes_room_for_its_caption_and_a_long_one_is_cut():
    def drawn(caption):
        tiles = [(one, np.zeros((40, 20, 3), dtype=np.uint8)) for one in (caption, "b")]
        return np.asarray(draw_panel(tiles, [(0, "background")]))

    assert drawn("a").shape[1] < drawn("+ Laplacian (weight 0.01)").shape[1] < drawn("a" * 60).shape[1]
    assert drawn("a" * 60).shape[1] == 10 + 2 * (CAPTION + 10)
    cut = drawn("a" * 60)[10:32, 10 + CAPTION : 20 + CAPTION]
    assert (cut == 255).all()


def test_cells_take_the_label_at_their_centre():
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert (at_cells(labels, (5, 7)) == labels).all()
    assert at_cells(labels, (1, 1)).item() == labels[2, 3]
    assert at_cells(np.repeat(np.repeat(labels, 4, 0), 4, 1), (5, 7)).tolist() == labels.tolist()
    beyond = at_cells(np.arange(9, dtype=np.uint8)[None].repeat(9, 0), (3, 3), 4)
    assert beyond.tolist() == [[2, 6, 8]] * 3
    assert at_cells(beyond, (9, 9), 1 / 4)[0].tolist() == [2, 2, 2, 2, 6, 6, 6, 6, 8]
