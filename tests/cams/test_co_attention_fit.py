"""Losses of pairs of photographs: what a batch without a class of one alone costs, also in several processes."""

from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn
from torch.nn import functional

from wsgcn.cams.co_attention_fit import CoAttentionLoss
from wsgcn.cams.co_attention_net import CoAttentionNet


class _Backbone(nn.Module):
    channels = (4,)

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return [self.layer(x)]


@pytest.fixture
def loss():
    torch.manual_seed(0)
    return CoAttentionLoss(CoAttentionNet(_Backbone(), 2, 0), SimpleNamespace(freeze_norm="none", views=()))


def _elsewhere(monkeypatch, labels):
    """As if another process had some labels."""
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda value: value.add_(labels))


@pytest.mark.parametrize(
    ("shown", "elsewhere", "counts"), [(0, None, False), (1, None, True), (0, 0, False), (0, 3, True)]
)
def test_the_rest_counts_where_any_photograph_of_all_processes_has_a_class_alone(
    loss, monkeypatch, shown, elsewhere, counts
):
    rest, target = torch.randn(2, 4, 5, 5), torch.tensor([[0.0, shown], [0.0, 0.0]])
    if elsewhere is not None:
        _elsewhere(monkeypatch, elsewhere)
    with torch.no_grad():
        found = float(loss._alone(rest, target))
        logits = loss.net.common(rest.mean(dim=(2, 3), keepdim=True)).flatten(1)
    assert (found > 0) == counts
    if counts and elsewhere is None:
        assert found == pytest.approx(float(functional.multilabel_soft_margin_loss(logits, target)))
