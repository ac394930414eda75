"""A picture in the terminal: the bytes that each kind of terminal is sent."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from wsgcn.runtime.terminal import CHUNK, show_picture

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
KITTY, ITERM = re.compile(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\"), re.compile(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07\n")


class Output(io.StringIO):
    """Stands for the output stream: a terminal, or a file."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def written(environment, picture=NOISE, terminal=True, colours="truecolor", width=40):
    """What a picture looks like to a terminal of so many columns."""
    file = Output(terminal)
    console = Console(file=file, force_terminal=True, color_system=colours, width=width, _environ={})
    show_picture(picture, console, environment)
    return file.getvalue()


def same(data, picture):
    shown = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    return shown.format == "PNG" and np.array_equal(np.asarray(shown), np.asarray(picture))


@pytest.mark.parametrize(
    "environment",
    [
        {"KITTY_WINDOW_ID": "1"},
        {"TERM": "xterm-kitty"},
        {"TERM_PROGRAM": "WezTerm", "TERM": "xterm-256color"},
        {"TERM_PROGRAM": "ghostty"},
    ],
)
def test_kitty_gets_a_png_in_chunks(environment):
    text = written(environment)
    keys, data = zip(*KITTY.findall(text))
    assert KITTY.sub("", text) == "\n"
    assert keys == ("a=T,q=2,f=100,c=10,m=1", *["m=1"] * (len(keys) - 2), "m=0")
    assert len(keys) > 2
    assert all(len(one) == CHUNK for one in data[:-1])
    assert 0 < len(data[-1]) <= CHUNK
    assert same("".join(data), NOISE)


def test_a_small_picture_is_one_chunk():
    ((keys, data),) = KITTY.findall(written({"TERM": "xterm-kitty"}, NOISE.crop((0, 0, 16, 4))))
    assert keys == "a=T,q=2,f=100,c=2,m=0"
    assert same(data, NOISE.crop((0, 0, 16, 4)))


def test_a_picture_is_no_wider_than_the_terminal():
    assert "c=7," in written({"TERM": "xterm-kitty"}, width=7)
    assert ";width=7:" in written({"TERM_PROGRAM": "iTerm.app"}, width=7)


def test_iterm_gets_a_png():
    ((keys, data),) = ITERM.findall(written({"TERM_PROGRAM": "iTerm.app"}))
    assert keys == "inline=1;width=10"
    assert same(data, NOISE)


@pytest.mark.parametrize("environment", [{}, {"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}])
def test_others_get_half_blocks(environment):
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], dtype=np.uint8)
    picture = Image.fromarray(pixels.repeat(4, 0).repeat(4, 1))  # 8 pixels square
    text = written(environment, picture, width=2)
    blocks = ["\x1b[38;2;255;0;0;48;2;0;0;255m▀", "\x1b[38;2;0;255;0;48;2;9;8;7m▀"]
    assert text == "".join(f"{block}\x1b[0m" for block in blocks) + "\n"


def test_half_blocks_keep_the_shape():
    lines = written({}, width=40).splitlines()
    assert [line.count("▀") for line in lines] == [40] * 15


@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm-kitty"}, {"TERM_PROGRAM": "iTerm.app"}])
def test_a_file_gets_nothing(environment):
    assert written(environment, terminal=False) == ""


def test_without_colours_there_is_nothing():
    assert written({}, colours=None) == ""
    assert written({"TERM": "xterm-kitty"}, colours=None) != ""
