"""Recurrent classifiers, and wider ones that compute the same: multiples, units that stay zero, units that nobody reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Classifier(nn.Module):
    """A recurrent stack and a linear layer; `read` says of what: the mean over time, the last step, or the last states of both directions.

    With `words` it begins with an embedding. Weights are short and generic, so that splitting them is exact in float32 too.
    """

    def __init__(self, kind: str, size: int, dice: np.random.Generator, into: int = 3, read: str = "mean", words: int = 0, **options: Any):
        super().__init__()
        self.embed = nn.Embedding(words, into) if words else None
        self.body = LAYERS[kind](into, size, batch_first=True, **options)
        self.head = nn.Linear(size * (2 if self.body.bidirectional else 1), 2)
        self.read = read
        for p in self.double().parameters():
            p.data = numbers(dice, *p.shape)

    def forward(self, x: Tensor) -> Tensor:
        y, state = self.body(x if self.embed is None else self.embed(x))
        if self.read == "states":
            last = state[0] if isinstance(state, tuple) else state
            y = torch.cat([last[-2], last[-1]], 1)
        else:
            y = y.mean(1) if self.read == "mean" else y[:, -1]
        logits: Tensor = self.head(y)
        return logits


def numbers(dice: np.random.Generator, *shape: int) -> Tensor:
    return torch.as_tensor(dice.integers(1, 64, size=shape) * dice.choice([-1, 1], size=shape) / 64)


def widened(kind: str, small: Classifier, more: int, dice: np.random.Generator) -> Classifier:
    """`more` units in every layer and direction: multiples, units that stay zero, units that nobody reads; then all in another order."""
    n, body = small.body.hidden_size, small.body
    options = {name: getattr(body, name) for name in ("num_layers", "bidirectional", "bias")} | ({"nonlinearity": body.nonlinearity} if kind == "rnn" else {})
    words = 0 if small.embed is None else small.embed.num_embeddings
    big = Classifier(kind, n + more, dice, body.input_size, small.read, words, **options)
    if small.embed is not None and big.embed is not None:
        big.embed.weight.data = small.embed.weight.data.clone()
    below: list[Plan] = []
    for layer in range(body.num_layers):
        plans = [Plan(kind, n, more, dice, getattr(body, "nonlinearity", "")) for _ in range(2 if body.bidirectional else 1)]
        for way, plan in enumerate(plans):
            name = f"l{layer}{'_reverse' if way else ''}"
            into = spread(getattr(body, f"weight_ih_{name}").data, below, n)
            own = spread(getattr(body, f"weight_hh_{name}").data, [plan], n)
            for role, tensor in (("weight_ih", into), ("weight_hh", own), ("bias_ih", None), ("bias_hh", None)):
                if hasattr(body, f"{role}_{name}"):
                    source = getattr(body, f"{role}_{name}").data if tensor is None else tensor
                    getattr(big.body, f"{role}_{name}").data = plan.rows(source, columns=plan if role == "weight_hh" else None)
        below = plans
    big.head.weight.data, big.head.bias.data = spread(small.head.weight.data, below, n), small.head.bias.data.clone()
    return big


class Plan:
    """The units of one direction: `unit[i]` is (what, unit of the small layer, multiple) in the new order."""

    def __init__(self, kind: str, n: int, more: int, dice: np.random.Generator, nonlinearity: str):
        self.kind, self.n, self.dice = kind, n, dice
        multiples = [0.5, 2.0, 4.0, 1.0] if nonlinearity == "relu" else [1.0, -1.0]
        extra = [(str(dice.choice(["twin", "twin", "zero", "unread"])), int(dice.integers(n)), float(dice.choice(multiples))) for _ in range(more)]
        units = [("own", i, 1.0) for i in range(n)] + extra
        self.units = [units[k] for k in dice.permutation(len(units))]

    def rows(self, tensor: Tensor, columns: Plan | None) -> Tensor:
        """Rows (or biases) for all units, gate by gate; the rows of a multiple differ from its source by what cancels over the columns."""
        gates, turning = GATES[self.kind], {"rnn": 0, "lstm": 2, "gru": 2}[self.kind]
        blocks = tensor.reshape(gates, self.n, *tensor.shape[1:])
        out = []
        for gate in range(gates):
            for what, source, multiple in self.units:
                row = blocks[gate, source].clone()
                if what == "zero":
                    row = row * 0 if gate == turning else numbers(self.dice, *row.shape)
                elif what == "unread":
                    row = numbers(self.dice, *row.shape)
                elif gate == turning:
                    row = row * multiple
                if columns is not None and what in ("twin", "zero"):
                    row = row + columns.nothing()
                out.append(row)
        return torch.stack(out)

    def nothing(self) -> Tensor:
        """Coefficients that add up to zero over every class."""
        row = torch.zeros(len(self.units), dtype=torch.float64)
        for k, (what, source, multiple) in enumerate(self.units):
            if what == "twin":
                d = float(self.dice.integers(1, 8)) / 8
                row[k] += d
                row[self.units.index(("own", source, 1.0))] -= multiple * d
        return row


def spread(weight: Tensor, plans: list[Plan], n: int) -> Tensor:
    """Columns for all units: a source's share goes to its multiples, zeros are read at will, the unread are not."""
    if not plans:
        return weight.clone()
    columns = []
    for k, plan in enumerate(plans):
        part = weight[:, k * n : (k + 1) * n].clone()
        found = [torch.zeros(len(weight), dtype=torch.float64) for _ in plan.units]
        for at, (what, source, multiple) in enumerate(plan.units):
            if what == "twin":
                found[at] = torch.as_tensor(plan.dice.integers(1, 8, size=len(weight)) / 8.0)
                part[:, source] -= multiple * found[at]
            elif what == "zero":
                found[at] = numbers(plan.dice, len(weight))
        for at, (what, source, _) in enumerate(plan.units):
            if what == "own":
                found[at] = part[:, source]
        columns += found
    return torch.stack(columns, dim=1)
