"""How far a draft's law q is from the target's law p, as a loss. Logits in, nats (or mass) out.

Acceptance of a sampled token is 1 − TV(p, q) (Leviathan et al. 2023, arXiv 2211.17192, Theorem 3.5), so total
variation is the aim itself; the divergences have better gradients far from it (DistillSpec, arXiv 2310.08461).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Objective = Callable[[Tensor, Tensor], Tensor]
"""(draft logits [N, V], target logits [N, V]) → scalar."""


def forward_kl(draft: Tensor, target: Tensor) -> Tensor:
    """KL(p ‖ q): q covers all that p does. As cross-entropy less entropy: half the passes over [N, V]."""
    p = target.softmax(-1)
    with torch.no_grad():
        entropy: Tensor = (target.logsumexp(-1) - torch.linalg.vecdot(p, target)).mean()
    return torch.nn.functional.cross_entropy(draft, p) - entropy


def reverse_kl(draft: Tensor, target: Tensor) -> Tensor:
    """KL(q ‖ p): q stays where p is."""
    return torch.nn.functional.kl_div(target.log_softmax(-1), draft.softmax(-1), reduction="batchmean")


def total_variation(draft: Tensor, target: Tensor) -> Tensor:
    """½ Σ|p − q|: one minus the acceptance."""
    return 0.5 * (draft.softmax(-1) - target.softmax(-1)).abs().sum(-1).mean()


def mixed(draft: Tensor, target: Tensor) -> Tensor:
    """KL(p ‖ q) where q is far off, total variation where it is near: half and half."""
    return 0.5 * forward_kl(draft, target) + total_variation(draft, target)


OBJECTIVES: Mapping[str, Objective] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "total_variation": total_variation,
    "mixed": mixed,
}
