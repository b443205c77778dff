"""Log-probabilities of committed tokens under the target's raw logits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from specsched.records import TokenLogprob


def token_logprobs(logits: Tensor, tokens: Sequence[int], top: int) -> tuple[TokenLogprob, ...]:
    """Look the tokens up.

    Args:
        logits: Raw, [≥ len(tokens), V]; row i is the law that token i came from.
        tokens: Committed tokens.
        top: Alternatives per token.

    Returns:
        One record per token, in nats.
    """
    logprobs = logits[: len(tokens)].log_softmax(-1, dtype=torch.float32)
    best = logprobs.topk(top, dim=-1) if top else None
    return tuple(
        TokenLogprob(
            token,
            float(logprobs[i, token]),
            tuple(zip(best.indices[i].tolist(), best.values[i].tolist(), strict=True)) if best is not None else (),
        )
        for i, token in enumerate(tokens)
    )
