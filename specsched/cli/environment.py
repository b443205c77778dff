"""Thread policy of processes that compute; it must stand before torch is loaded."""

import os
from collections.abc import Mapping


def compute_environment(threads: int, sharers: int = 1) -> dict[str, str]:
    """Return the variables of a process that computes.

    Spinning waits make two threads beside another process ten times slower; so waits are passive.

    Args:
        threads: Compute threads; 0 shares the cores evenly.
        sharers: Processes that share them.
    """
    share = threads or max(1, len(os.sched_getaffinity(0)) // sharers)
    return {
        "OMP_WAIT_POLICY": "passive",
        "OMP_NUM_THREADS": str(share),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }


def apply(variables: Mapping[str, str]) -> None:
    """Set them for this process, unless the operator did."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
