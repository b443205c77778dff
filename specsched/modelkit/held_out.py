"""Held-out loss per class: mean nats a token over the head of each class's valid split."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.loss import next_token_loss
from specsched.modelkit.tokens import Documents

_ROWS_TOKENS = 2_048


def windows(documents: Documents, window: int, tokens: int) -> Iterator[Tensor]:
    """Batches of whole windows, [rows, window], from the documents' head; shorter where there is too little text."""
    length = min(window, len(documents.ids))
    count = max(1, min(tokens, len(documents.ids)) // length)
    flat = torch.from_numpy(np.asarray(documents.ids[: count * length], dtype=np.int64))
    yield from flat.view(-1, length).split(max(1, _ROWS_TOKENS // length))


def mean_loss(loss: Callable[[Tensor], Tensor], documents: Documents, window: int, tokens: int) -> float:
    """Mean of a loss over windows."""
    batches = list(windows(documents, window, tokens))
    return sum(float(loss(ids)) * len(ids) for ids in batches) / sum(map(len, batches))


@torch.no_grad()
def held_out_losses(
    model: LanguageModel, valid: Mapping[str, Documents], *, window: int = 512, tokens: int = 16_384
) -> dict[str, float]:
    """Class → loss of one model."""
    head = model.network.get_output_embeddings().weight
    device = model.network.device

    def loss(ids: Tensor) -> Tensor:
        return next_token_loss(model.hidden(ids.to(device)), head, ids.to(device))

    return {name: mean_loss(loss, documents, window, tokens) for name, documents in valid.items()}


@torch.no_grad()
def network_losses(
    network: PreTrainedModel, valid: Mapping[str, Documents], *, window: int = 512, tokens: int = 16_384
) -> dict[str, float]:
    """Class → loss of a network through its own head: quantized ones keep no weights to multiply by."""

    def loss(ids: Tensor) -> Tensor:
        logits = network(input_ids=ids, use_cache=False).logits[:, :-1]  # [B, T - 1, V]
        return cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())

    return {name: mean_loss(loss, documents, window, tokens) for name, documents in valid.items()}
