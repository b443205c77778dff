"""Where bfloat16 computes fast: GPUs, and CPUs with instructions for it. Elsewhere it is emulated, 20 × slower."""

import torch


def fast_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are worth it on a device (`cpu`, `cuda`, `cuda:0` …)."""
    if device.startswith("cuda"):
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch offers no public name
