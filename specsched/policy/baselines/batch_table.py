"""γ by the number of running rows, from a table that an operator measured.

TensorRT-LLM's `draft_len_schedule` (PR 10860): a key is the largest batch of its bracket, larger batches than the last
decode plainly. vLLM's `num_speculative_tokens_per_batch_size` says the same with brackets [first, last, γ].
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from specsched.policy.baselines.lever import BatchView, LeverController
from specsched.policy.baselines.plans import DraftPolicy
from specsched.records import RoundRecord


class BatchTable:
    """{1: 5, 4: 3, 8: 1} is 5 for a lone row, 3 for 2 to 4 rows, 1 for 5 to 8, and 0 beyond."""

    def __init__(self, table: Mapping[int, int]) -> None:
        self._rows = sorted(table)
        self._gammas = [table[rows] for rows in self._rows]

    def choose(self, batch: BatchView) -> int:
        """Look γ up."""
        bracket = bisect_left(self._rows, batch.rows)
        return self._gammas[bracket] if bracket < len(self._rows) else 0

    def observe(self, records: Sequence[RoundRecord]) -> None:
        """Nothing to learn."""


def batch_table_policy(draft_model: str, table: Mapping[int, int], max_gamma: int) -> DraftPolicy:
    """Return the policy: the draft, from a lone row's γ on."""
    return DraftPolicy("batch_table", draft_model, table[min(table)], max_gamma)


def batch_table_controller(table: Mapping[int, int]) -> LeverController:
    """Return the round controller."""
    return LeverController(BatchTable(table))
