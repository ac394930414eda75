"""A picture in the terminal: in pixels where it knows how, else in coloured half blocks, else not at all."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping

import numpy as np
from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

CHUNK = 4096  # bytes of base64 in one escape sequence, at most, of kitty's protocol
CELL = 8  # pixels, a usual width of a character


def show_picture(picture: Image.Image, console: Console, environment: Mapping[str, str]) -> None:
    """Show a picture as wide as it is, but no wider than the console; nothing where the output is no terminal.

    Args:
        picture: RGB.
        console: where to.
        environment: variables by which terminals make themselves known.
    """
    if not console.file.isatty():
        return
    program, columns = environment.get("TERM_PROGRAM", ""), min(console.width, picture.width // CELL)
    kitty = "KITTY_WINDOW_ID" in environment or "kitty" in environment.get("TERM", "")
    if "TMUX" in environment:  # it passes no pixels on, whatever terminal it runs in
        _show_blocks(picture, console)
    elif kitty or program.lower() in ("wezterm", "ghostty"):
        console.file.write(kitty_sequence(picture, columns))
    elif program == "iTerm.app":
        console.file.write(iterm_sequence(picture, columns))
    else:
        _show_blocks(picture, console)


def kitty_sequence(picture: Image.Image, columns: int) -> str:
    """A picture ``columns`` characters wide in kitty's graphics protocol: PNG in chunks, all but the last with m=1.

    With q=2 the terminal answers nothing, which would appear as if typed.

    Source: https://sw.kovidgoyal.net/kitty/graphics-protocol/
    """
    data = _png(picture)
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    keys = [f"a=T,q=2,f=100,c={columns},", *[""] * (len(chunks) - 1)]
    more = [1] * (len(chunks) - 1) + [0]
    return "".join(f"\x1b_G{key}m={one};{chunk}\x1b\\" for key, one, chunk in zip(keys, more, chunks)) + "\n"


def iterm_sequence(picture: Image.Image, columns: int) -> str:
    """A picture ``columns`` characters wide as iTerm2 takes it.

    Source: https://iterm2.com/documentation-images.html
    """
    return f"\x1b]1337;File=inline=1;width={columns}:{_png(picture)}\x07\n"


def _png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return b64encode(file.getvalue()).decode()


def half_blocks(picture: Image.Image, columns: int) -> Text:
    """A picture of two pixels a character: the upper one is the colour of a block, the lower one that behind it."""
    rows = max(1, round(picture.height * columns / picture.width / 2))
    pixels = np.array(picture.resize((columns, 2 * rows), Image.Resampling.BOX))
    text = Text(no_wrap=True, end="")
    for above, below in zip(pixels[::2], pixels[1::2]):
        for upper, lower in zip(above.tolist(), below.tolist()):
            text.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        text.append("\n")
    return text


def _show_blocks(picture: Image.Image, console: Console) -> None:
    if console.color_system is not None:
        console.print(half_blocks(picture, min(console.width, picture.width)), end="")
