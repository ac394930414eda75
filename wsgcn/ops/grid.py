"""How the cells of a grid lie on a photograph, and what follows for maps that go from the one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.resize import downscale_rgb, resize_maps


@dataclass(frozen=True)
class Grid:
    """The place of a grid on a photograph.

    IRNet's and PSA's grids have cells of a whole stride, as their networks make them: ⌈H / stride⌉ rows cover at least
    the photograph, and the last row and column may jut out. A stretched grid has as many cells, a little smaller, so
    that they cover the photograph and nothing else.

    Attributes:
        cells: rows and columns.
        size: rows and columns of the photograph, in pixels.
        stride: pixels a cell; 0 = the grid is stretched over the photograph.
    """

    cells: tuple[int, int]
    size: tuple[int, int]
    stride: int

    @property
    def covered(self) -> tuple[int, int]:
        """Rows and columns of pixels under the cells, those beyond the photograph too."""
        return (self.cells[0] * self.stride, self.cells[1] * self.stride) if self.stride else self.size

    def pooled(
        self, maps: NDArray[np.float32], beyond: Literal["constant", "edge"] = "constant"
    ) -> NDArray[np.float32]:
        """``(K, …)`` maps of any size on the grid, ``(K, *cells)``.

        Maps of the photograph's size are averaged over whole cells. Where these jut out there is 0, as PSA has it, or
        with ``edge`` the border goes on. Other maps, and those for a stretched grid, are resized.
        """
        if not self.stride or maps.shape[1:] != self.size:
            return resize_maps(maps, self.cells)
        below, beside = (whole - side for whole, side in zip(self.covered, self.size))
        padded = np.pad(maps, ((0, 0), (0, below), (0, beside)), mode=beyond)
        parts = padded.reshape(-1, self.cells[0], self.stride, self.cells[1], self.stride)
        return parts.mean(axis=(2, 4), dtype=np.float32)

    def covering(self, maps: NDArray[np.float32], logarithmic: bool = False) -> NDArray[np.float32]:
        """``(K, *cells)`` maps as ones that cover the photograph and nothing else.

        Those of a stretched grid do; whole cells are enlarged bilinearly to their pixels, and what juts out is cut off.
        Maps whose logarithms are to be enlarged are stretched on any grid, as the public WSGCN code does.
        """
        if not self.stride or logarithmic:
            return maps
        return resize_maps(maps, self.covered)[:, : self.size[0], : self.size[1]]

    def colours(self, rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An ``(H, W, 3)`` photograph at the grid's resolution; its border goes on where cells jut out."""
        below, beside = (whole - side for whole, side in zip(self.covered, self.size))
        return downscale_rgb(np.pad(rgb_u8, ((0, below), (0, beside), (0, 0)), mode="edge"), self.cells)


def covering_scores(
    scores: NDArray[np.float32], size: tuple[int, int], stride: int, logarithmic: bool
) -> NDArray[np.float32]:
    """The scores of a propagation, ``(K, h, w)`` on a grid, as they cover a photograph: :meth:`Grid.covering`."""
    rows, columns = scores.shape[1:]
    return Grid((rows, columns), size, stride).covering(scores, logarithmic)


def at_cells(labels: NDArray[np.uint8], grid: tuple[int, ...], stride: float = 0) -> NDArray[np.uint8]:
    """The label at the centre of each cell of an ``h × w`` grid laid over ``(H, W)`` labels.

    Args:
        labels: ``(H, W)``.
        grid: rows and columns of the result.
        stride: labels a cell; of a cell whose centre juts out, the label at the border. 0 = the grid is stretched.
    """
    centres = [
        ((np.arange(cells) + 0.5) * (cells * stride or pixels) / cells).astype(np.int64).clip(max=pixels - 1)
        for cells, pixels in zip(grid, labels.shape)
    ]
    return labels[np.ix_(*centres)]
