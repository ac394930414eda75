"""Slow, obvious, dense versions of the propagation kernels: one function an equation of the paper.

Everything is float64 and N × N. Labels are a list or array of N positions (0 = background, 255 = unlabelled).
"""

from __future__ import annotations

import math

import numpy as np
import torch

UNLABELLED = 255
REFERENCE_CLASSES = 21
"""The public code takes the mean over nodes and the 21 classes of VOC."""


# ---------------------------------------------------------------- graphs


def walk_operator_dense(affinity: np.ndarray, beta: float) -> np.ndarray:
    """A^β element by element, rows normalised to 1: the transpose of IRNet's T, whose columns sum to 1."""
    power = np.asarray(affinity, dtype=np.float64) ** beta
    return power / power.sum(axis=1, keepdims=True)


def random_walk_dense(scores: np.ndarray, walk: np.ndarray, log2_steps: int) -> np.ndarray:
    """``(K, h, w)`` scores after 2^log2_steps steps: P squared log2_steps times, then P^(2^t) x for each class."""
    power = np.asarray(walk, dtype=np.float64)
    for _ in range(log2_steps):
        power = power @ power
    return np.stack([(power @ one.astype(np.float64).ravel()).reshape(one.shape) for one in scores])


def normalise_dense(affinity: np.ndarray, kind: str) -> np.ndarray:
    """Ã of eq. (1): A + I as printed ('none'), its rows summing to 1 ('row'), or D^-1/2 (A + I) D^-1/2."""
    graph = np.asarray(affinity, dtype=np.float64) + np.eye(len(affinity))
    degrees = graph.sum(axis=1)
    if kind == "none":
        return graph
    if kind == "row":
        return np.diag(1 / degrees) @ graph
    if kind == "symmetric":
        return np.diag(degrees**-0.5) @ graph @ np.diag(degrees**-0.5)
    raise ValueError(kind)


def transition_dense(affinity: np.ndarray, beta: float, steps: int) -> np.ndarray:
    """IRNet's T after so many steps: A^β element by element, columns normalised to 1, multiplied with itself."""
    power = np.asarray(affinity, dtype=np.float64) ** beta
    return np.linalg.matrix_power(power / power.sum(axis=0, keepdims=True), steps)


def public_graph_dense(affinity: np.ndarray, beta: float, steps: int, kind: str) -> np.ndarray:
    """Ã of the public code: A of eq. (1) is max(T, Tᵀ), element by element."""
    transition = transition_dense(affinity, beta, steps)
    return normalise_dense(np.maximum(transition, transition.T), kind)


def walked_graph_dense(affinity: np.ndarray, beta: float, steps: int, kind: str) -> np.ndarray:
    """The same with a + b - c √(a b) in the place of max(a, b): what sparse products can make."""
    transition = transition_dense(affinity, beta, steps)
    both = transition + transition.T - (2 * math.sqrt(2) - 2) * np.sqrt(transition * transition.T)
    return normalise_dense(both, kind)


def gcn_forward_dense(
    graph: torch.Tensor,
    features: torch.Tensor,
    w1: torch.Tensor,
    w2: torch.Tensor,
    b1: torch.Tensor | float = 0,
    b2: torch.Tensor | float = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. (1): Q = softmax(Ã relu(Ã V W1) W2), and with the biases of the public code.

    Args:
        graph: ``(N, N)`` Ã.
        features: ``(N, F)`` V.
        w1: ``(F, 16)``.
        w2: ``(16, K)``.
        b1: ``(1, 16)``.
        b2: ``(1, K)``.

    Returns:
        ``(N, K)`` logits and ``(N, K)`` Q.
    """
    hidden = torch.relu(graph @ features @ w1 + b1)
    logits = graph @ hidden @ w2 + b2
    return logits, torch.softmax(logits, dim=1)


def colour_affinity_dense(
    rgb_u8: np.ndarray, colour_variance: float, distance_variance: float, colour_scale: float, window: int
) -> np.ndarray:
    """Eq. (7): Φ_ij = exp(−|I_i − I_j|² / 2σ1² − |f_i − f_j|² / 2σ2²) within the window, ``(N, N)``; Φ_ii = 0.

    ``colour_variance`` is 2σ1² and ``distance_variance`` 2σ2². What Φ_ii is makes no difference to eq. (6).
    """
    height, width, _ = rgb_u8.shape
    colours = rgb_u8.astype(np.float64) / 255 * colour_scale
    affinity = np.zeros((height * width, height * width))
    for i in range(height * width):
        for j in range(height * width):
            (yi, xi), (yj, xj) = divmod(i, width), divmod(j, width)
            if i != j and abs(yi - yj) <= window // 2 and abs(xi - xj) <= window // 2:
                colour = float(((colours[yi, xi] - colours[yj, xj]) ** 2).sum())
                distance = (yi - yj) ** 2 + (xi - xj) ** 2
                affinity[i, j] = math.exp(-colour / colour_variance - distance / distance_variance)
    return affinity


# ---------------------------------------------------------------- losses


def foreground_loss(probs: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    """Eq. (3): mean of −log (q_i)_{p_i} over the nodes whose label is a foreground class; 0 where there is none."""
    nodes = [i for i, label in enumerate(labels) if label not in (0, UNLABELLED)]
    return _cross_entropy(probs, labels, nodes)


def background_loss(probs: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    """Eq. (4): the same over the nodes labelled background."""
    return _cross_entropy(probs, labels, [i for i, label in enumerate(labels) if label == 0])


def _cross_entropy(probs: torch.Tensor, labels: np.ndarray, nodes: list[int]) -> torch.Tensor:
    loss = probs.sum() * 0
    for i in nodes:
        loss = loss - torch.log(probs[i, int(labels[i])]) / len(nodes)
    return loss


def entropy_loss(probs: torch.Tensor, labels: np.ndarray, objective: str = "paper") -> torch.Tensor:
    """Eq. (5): −Σ_c q log q, mean over the unlabelled nodes; 'reference': also divided by 21 classes."""
    nodes = [i for i, label in enumerate(labels) if label == UNLABELLED]
    loss = probs.sum() * 0
    for i in nodes:
        for c in range(probs.shape[1]):
            loss = loss - probs[i, c] * torch.log(probs[i, c]) / len(nodes)
    return loss / {"paper": 1, "reference": REFERENCE_CLASSES}[objective]


def laplacian_loss(values: torch.Tensor, colour_affinity: np.ndarray) -> torch.Tensor:
    """Eq. (6): Σ_i Σ_j Φ_ij |q_i − q_j|² / 2|V|, of probabilities (paper) or log-probabilities (public code)."""
    loss = values.sum() * 0
    for i in range(len(values)):
        for j in range(len(values)):
            if colour_affinity[i, j]:
                loss = loss + float(colour_affinity[i, j]) * ((values[i] - values[j]) ** 2).sum()
    return loss / (2 * len(values))


def all_losses(
    logits: torch.Tensor, labels: np.ndarray, colour_affinity: np.ndarray, objective: str = "paper"
) -> dict[str, torch.Tensor]:
    """The four losses of eq. (3)–(6) by name: fg, bg, ent, lap."""
    probs = torch.softmax(logits, dim=1)
    return {
        "fg": foreground_loss(probs, labels),
        "bg": background_loss(probs, labels),
        "ent": entropy_loss(probs, labels, objective),
        "lap": laplacian_loss(probs if objective == "paper" else torch.log(probs), colour_affinity),
    }


def total_loss(
    logits: torch.Tensor,
    labels: np.ndarray,
    colour_affinity: np.ndarray,
    *,
    entropy_weight: float,
    laplacian_weight: float,
    objective: str = "paper",
) -> torch.Tensor:
    """Eq. (2): l_fg + l_bg + β1 l_ent + β2 l_lp."""
    losses = all_losses(logits, labels, colour_affinity, objective)
    return losses["fg"] + losses["bg"] + entropy_weight * losses["ent"] + laplacian_weight * losses["lap"]


# ---------------------------------------------------------------- partial labels


def partial_labels_dense(
    cams: np.ndarray,
    probs_low: np.ndarray,
    probs_high: np.ndarray,
    *,
    alpha_high: float,
    min_prob: float,
    confident_share: float,
    cam_floor: float,
    min_background: float,
) -> np.ndarray:
    """The partial pseudo labels P, pixel by pixel, from the CAMs and the results of the two CRFs.

    Foreground where the α = 4 CRF says so, background where the α = 32 CRF says so (this overrules), else
    unlabelled; then only confident pixels stay. Source: ``shared/paper/notes.md``.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        probs_low: ``(K, h, w)`` of the CRF with the small α.
        probs_high: ``(K, h, w)`` of the CRF with the large α.
        alpha_high: the large α.
        min_prob: CRF probability that a label needs.
        confident_share: share of a class's own region that is kept, its best pixels; ties with the last one stay.
        cam_floor: only CAM values above it count as the class's region.
        min_background: background needs a score (1 − max CAM)^α above it.

    Returns:
        ``(h, w)`` uint8 positions among the K classes, 255 = unlabelled.
    """
    _, height, width = cams.shape
    cells = [(y, x) for y in range(height) for x in range(width)]
    background = {cell: (1 - cams[:, *cell].max()) ** alpha_high for cell in cells}
    owner = {cell: int(np.argmax([background[cell], *cams[:, *cell]])) for cell in cells}
    labels = np.full((height, width), UNLABELLED, dtype=np.uint8)
    for cell in cells:
        if int(probs_high[:, *cell].argmax()) == 0:
            if probs_high[0, *cell] >= min_prob and background[cell] > min_background:
                labels[cell] = 0
            continue
        k = int(probs_low[:, *cell].argmax())
        if k == 0 or probs_low[k, *cell] < min_prob:
            continue
        region = [one for one in cells if owner[one] == k and cams[k - 1, *one] > cam_floor]
        better = sum(cams[k - 1, *one] > cams[k - 1, *cell] for one in region)
        if cell in region and better < confident_share * len(region):
            labels[cell] = k
    return labels
