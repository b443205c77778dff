"""Where a completion ends: at a stop token or at max_tokens, in the middle of a round or at its end."""

from dataclasses import replace
from typing import NamedTuple

from specsched.engine.row import Row
from specsched.records import FinishReason, RoundRecord


class Ending(NamedTuple):
    """A round's tokens and record after the cut."""

    tokens: list[int]
    record: RoundRecord
    finish: FinishReason | None = None
    matched_token_id: int | None = None


def cut(row: Row, tokens: list[int], record: RoundRecord) -> Ending:
    """Cut a round at the first stop token (which stays) or at max_tokens, tokens and record alike."""
    remaining = row.remaining
    kept = tokens[:remaining]
    stop = _stop_in(row, kept)
    if stop:
        return Ending(kept[:stop], _trimmed(record, tokens, stop), FinishReason.STOP, kept[stop - 1])
    finish = FinishReason.LENGTH if len(kept) == remaining else None
    return Ending(kept, _trimmed(record, tokens, len(kept)), finish)


def _stop_in(row: Row, tokens: list[int]) -> int:
    """Tokens up to the first that may end the row, that one included; 0 where none may."""
    if row.stop_ids.isdisjoint(tokens):
        return 0
    too_early = row.job.min_tokens - row.position
    return next((n for n, token in enumerate(tokens, start=1) if n > too_early and token in row.stop_ids), 0)


def _trimmed(record: RoundRecord, tokens: list[int], kept: int) -> RoundRecord:
    """What was cut off was neither accepted nor rejected."""
    if kept == len(tokens):
        return record
    return replace(record, num_accepted=kept, censored=True, overlaps=record.overlaps[:kept])
