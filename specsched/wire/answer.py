"""What a caller gets: chunks and the account of a completion."""

from collections.abc import Sequence

from specsched.records import Completion, SpeculationMetrics, TextChunk
from specsched.v1 import scheduler_pb2
from specsched.wire.job import finish_to_proto, logprob_to_proto
from specsched.wire.plan import decision_to_proto, round_to_proto


def text_chunks_to_proto(chunks: Sequence[TextChunk], *, include_round: bool) -> scheduler_pb2.GenerateResponse:
    """Convert deltas that are sent as one; with its round it is one delta."""
    record = chunks[0].round if include_round else None
    return scheduler_pb2.GenerateResponse(
        chunk=scheduler_pb2.GenerateChunk(
            text="".join(chunk.text for chunk in chunks),
            token_ids=[token for chunk in chunks for token in chunk.token_ids],
            logprobs=[logprob_to_proto(logprob) for chunk in chunks for logprob in chunk.logprobs],
            round=None if record is None else round_to_proto(record),
        )
    )


def completion_to_proto(request_id: str, completion: Completion) -> scheduler_pb2.GenerateResponse:
    """Convert the last message."""
    timings = completion.timings
    complete = scheduler_pb2.GenerateComplete(
        request_id=request_id,
        text=completion.text,
        token_ids=completion.token_ids,
        finish_reason=finish_to_proto(completion.finish_reason),
        usage=scheduler_pb2.Usage(
            prompt_tokens=completion.usage.prompt_tokens,
            completion_tokens=completion.usage.completion_tokens,
            cached_tokens=completion.usage.cached_tokens,
        ),
        decision=decision_to_proto(completion.decision),
        speculative_decoding=_metrics_to_proto(completion.speculation),
        timings=scheduler_pb2.Timings(
            queue_seconds=timings.queue_seconds,
            time_to_first_token_seconds=timings.time_to_first_token_seconds,
            decode_seconds=timings.decode_seconds,
            tokens_per_second=timings.tokens_per_second,
        ),
        synthetic_acceptance=completion.synthetic,
    )
    if isinstance(completion.matched_stop, str):
        complete.stop_string = completion.matched_stop
    elif completion.matched_stop is not None:
        complete.stop_token_id = completion.matched_stop
    return scheduler_pb2.GenerateResponse(complete=complete)


def _metrics_to_proto(metrics: SpeculationMetrics) -> scheduler_pb2.SpeculativeDecodingMetrics:
    return scheduler_pb2.SpeculativeDecodingMetrics(
        mean_acceptance_length=metrics.mean_acceptance_length,
        draft_acceptance_rate=metrics.draft_acceptance_rate,
        acceptance_histogram=metrics.acceptance_histogram,
        acceptance_histogram_by_draft_length={
            gamma: scheduler_pb2.AcceptanceHistogram(counts=counts)
            for gamma, counts in metrics.acceptance_histogram_by_draft_length.items()
        },
        num_spec_steps=metrics.num_spec_steps,
        num_accepted_draft_tokens=metrics.num_accepted_draft_tokens,
        num_draft_tokens=metrics.num_draft_tokens,
    )
