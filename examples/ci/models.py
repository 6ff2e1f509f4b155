"""A small classifier, and a copy of it that was pruned: weights below a threshold are zero."""

from __future__ import annotations

import copy

import torch
from torch import nn


def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))


def pruned(threshold: float = 0.002) -> nn.Sequential:
    model = copy.deepcopy(classifier())
    with torch.no_grad():
        for weight in model.parameters():
            weight[weight.abs() < threshold] = 0
    return model
