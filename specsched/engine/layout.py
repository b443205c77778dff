"""How weights lie in memory."""

import torch
from torch import nn

LAYOUT = "by column, prepacked from two tokens on, gains folded in, pairs turned"
"""Sums round by the order of storage: part of what makes two workers' numbers equal."""


def lay_out_by_column(network: nn.Module) -> None:
    """Store the weights of linear layers column by column: same values, same shape, other strides.

    On a CPU the float32 product with one to three rows then takes about a fifth less time (the head's with one
    row half), with four rows or more the same. An embedding that is tied to the head follows it: its look-ups
    cost microseconds more.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear) and layer.weight.device.type == "cpu" and layer.weight.dtype == torch.float32:
            layer.weight.data = layer.weight.data.t().contiguous().t()
