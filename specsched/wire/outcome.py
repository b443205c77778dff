"""ReportOutcomeRequest → rounds, checked: every violation, by its field's path."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from specsched.errors import InvalidRequest, Violation
from specsched.records import NO_DRAFT, RoundRecord
from specsched.v1 import common_pb2, scheduler_pb2
from specsched.wire.plan import round_from_proto, round_to_proto
from specsched.wire.validation import MAX_GAMMA, MAX_ID_CHARACTERS

MAX_ROUNDS = 4_096
MAX_BATCH = 4_096


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a caller's own engine did with a decision."""

    request_id: str
    rounds: tuple[RoundRecord, ...]
    prompt_class: str | None = None


def outcome_to_proto(outcome: Outcome) -> scheduler_pb2.ReportOutcomeRequest:
    """Convert a report."""
    return scheduler_pb2.ReportOutcomeRequest(
        request_id=outcome.request_id,
        rounds=[round_to_proto(record) for record in outcome.rounds],
        prompt_class=outcome.prompt_class,
    )


def outcome_from_proto(
    message: scheduler_pb2.ReportOutcomeRequest, prompt_classes: Sequence[str], drafts: Collection[str]
) -> Outcome:
    """Convert a report back.

    Args:
        message: The report.
        prompt_classes: Classes that a caller may name.
        drafts: Of the pool.

    Raises:
        InvalidRequest: every violation.
    """
    found = list(_violations(message, prompt_classes, {NO_DRAFT, *drafts}))
    if found:
        raise InvalidRequest(found)
    label = message.prompt_class if message.HasField("prompt_class") else None
    return Outcome(message.request_id, tuple(map(round_from_proto, message.rounds)), label)


def _violations(
    message: scheduler_pb2.ReportOutcomeRequest, prompt_classes: Sequence[str], drafts: Collection[str]
) -> Iterator[Violation]:
    if not 0 < len(message.request_id) <= MAX_ID_CHARACTERS:
        yield Violation("request_id", f"has {len(message.request_id)} characters; 1 to {MAX_ID_CHARACTERS}")
    if message.HasField("prompt_class") and message.prompt_class not in prompt_classes:
        yield Violation("prompt_class", f"is none of {', '.join(prompt_classes)}")
    if len(message.rounds) > MAX_ROUNDS:
        yield Violation("rounds", f"has {len(message.rounds)} rounds; at most {MAX_ROUNDS}")
        return
    for index, record in enumerate(message.rounds):
        for field, what in _of_round(record, drafts):
            yield Violation(f"rounds[{index}].{field}", what)


def _of_round(record: common_pb2.RoundRecord, drafts: Collection[str]) -> Iterator[tuple[str, str]]:
    gamma, accepted, planned = record.gamma, record.num_accepted, record.planned_gamma
    plain = record.draft_model == NO_DRAFT
    bounds = (
        ("gamma", 0 <= gamma <= MAX_GAMMA, f"0 to {MAX_GAMMA}"),
        ("num_accepted", 0 <= accepted <= max(gamma, 0), f"0 to gamma, {gamma}"),
        ("planned_gamma", planned == 0 or gamma <= planned <= MAX_GAMMA, f"0, or gamma, {gamma}, to {MAX_GAMMA}"),
        ("batch_size", 1 <= record.batch_size <= MAX_BATCH, f"1 to {MAX_BATCH}"),
        ("propose_seconds", 0 <= record.propose_seconds < math.inf, "finite and at least 0"),
        ("verify_seconds", 0 <= record.verify_seconds < math.inf, "finite and at least 0"),
    )
    if record.draft_model not in drafts:
        yield "draft_model", f"{record.draft_model!r} is none of {', '.join(sorted(drafts))}"
    elif plain != (gamma == 0 == planned):
        yield "gamma", f"is {gamma} with draft {record.draft_model!r}; plain rounds, and no others, draft nothing"
    for name, holds, allowed in bounds:
        if not holds:  # NaN fails every comparison
            yield name, f"is {getattr(record, name)}; {allowed}"
    if len(record.overlaps) > min(accepted + 1, gamma):
        yield "overlaps", f"has {len(record.overlaps)} values; at most num_accepted + 1, and gamma"
    if not all(0 <= overlap <= 1 for overlap in record.overlaps):
        yield "overlaps", "has a value outside [0, 1]"
