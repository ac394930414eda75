"""Slow, obvious version of RRM's reliable labels: one pixel at a time."""

from __future__ import annotations

import numpy as np

UNLABELLED = 255


def sure_labels_slow(
    cams: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    alpha_high: float,
    min_prob: float,
    confident_share: float,
    cam_floor: float,
    min_background: float,
) -> np.ndarray:
    """``(K-1, H, W)`` maps and twice ``(K, H, W)`` CRF probabilities to ``(H, W)`` positions, 255 = not reliable."""
    classes, height, width = low.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    scores = {(y, x): [(1 - max(cams[:, y, x])) ** alpha_high, *cams[:, y, x]] for y, x in pixels}
    winner = {one: scores[one].index(max(scores[one])) for one in pixels}
    found = {(y, x): int(np.argmax(low[:, y, x])) for y, x in pixels}
    sure = dict.fromkeys(pixels, False)
    for position in set(found.values()):
        own = [one for one in pixels if winner[one] == position]
        if position == 0:
            least = min_background
        else:
            ordered = sorted(scores[one][position] for one in own if scores[one][position] > cam_floor)
            if not ordered:
                continue
            least = ordered[int((1 - confident_share) * len(ordered))]
        for one in own:
            if scores[one][position] > least:
                sure[one] = True
    labels = np.full((height, width), UNLABELLED, dtype=np.uint8)
    for y, x in pixels:
        is_background = np.argmax(high[:, y, x]) == 0
        confident = max(high[0, y, x], *low[1:, y, x]) >= min_prob
        if confident and sure[y, x]:
            if is_background:
                labels[y, x] = 0
            elif found[y, x] != 0:
                labels[y, x] = found[y, x]
    assert classes == len(cams) + 1
    return labels
