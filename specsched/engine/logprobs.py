"""Log-probabilities of committed tokens under the target's raw logits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from specsched.engine.transfer import to_device, to_host
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
    chosen = logprobs.gather(1, to_device(tokens, logits.device)[:, None])  # [n, 1]
    best = logprobs.topk(top, dim=-1)
    packed = to_host(torch.cat([chosen.double(), best.values.double(), best.indices.double()], 1)).tolist()
    return tuple(
        TokenLogprob(token, line[0], tuple(zip(map(int, line[1 + top :]), line[1 : 1 + top], strict=True)))
        for token, line in zip(tokens, packed, strict=True)
    )
