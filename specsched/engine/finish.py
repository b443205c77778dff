"""Where a completion ends: at a stop token or at max_tokens, in the middle of a round or at its end."""

from dataclasses import dataclass, replace

from specsched.engine.row import Row
from specsched.records import FinishReason, RoundRecord


@dataclass(frozen=True, slots=True)
class Ending:
    """A round's tokens and record after the cut."""

    tokens: list[int]
    record: RoundRecord
    finish: FinishReason | None = None
    matched_token_id: int | None = None


def cut(row: Row, tokens: list[int], record: RoundRecord) -> Ending:
    """Cut a round at the first stop token (which stays) or at max_tokens, tokens and record alike."""
    for count, token in enumerate(tokens[: row.remaining], start=1):
        if token in row.stop_ids and row.position + count > row.job.min_tokens:
            return Ending(tokens[:count], _trimmed(record, tokens, count), FinishReason.STOP, token)
    count = min(len(tokens), row.remaining)
    finish = FinishReason.LENGTH if count == row.remaining else None
    return Ending(tokens[:count], _trimmed(record, tokens, count), finish)


def _trimmed(record: RoundRecord, tokens: list[int], kept: int) -> RoundRecord:
    """What was cut off was neither accepted nor rejected."""
    if kept == len(tokens):
        return record
    return replace(record, num_accepted=kept, censored=True, overlaps=record.overlaps[:kept])
