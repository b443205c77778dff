"""Jobs, and what workers answer: the scheduler's and the worker's half of the execution contract."""

from collections.abc import Iterable, Iterator, Sequence

from specsched.records import Chunk, FinishReason, Job, TokenLogprob
from specsched.v1 import common_pb2, worker_pb2
from specsched.wire.plan import (
    counterfactual_from_proto,
    counterfactual_to_proto,
    plan_from_proto,
    plan_to_proto,
    round_from_proto,
    round_to_proto,
)
from specsched.wire.sampling import sampling_from_proto, sampling_to_proto

_FINISH = {
    FinishReason.STOP: common_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: common_pb2.FINISH_REASON_LENGTH,
    FinishReason.TIME_LIMIT: common_pb2.FINISH_REASON_TIME_LIMIT,
    FinishReason.ABORTED: common_pb2.FINISH_REASON_ABORTED,
}
_FINISH_BACK = {number: reason for reason, number in _FINISH.items()}


def finish_to_proto(finish: FinishReason | None) -> common_pb2.FinishReason.ValueType:
    """Convert; None is unspecified."""
    return common_pb2.FINISH_REASON_UNSPECIFIED if finish is None else _FINISH[finish]


def finish_from_proto(number: common_pb2.FinishReason.ValueType) -> FinishReason | None:
    """Convert back."""
    return _FINISH_BACK.get(number)


def job_to_proto(job: Job) -> worker_pb2.ExecuteRequest:
    """Convert a job."""
    return worker_pb2.ExecuteRequest(
        request_id=job.request_id,
        prompt_ids=job.prompt_ids,
        generated_ids=job.generated_ids,
        sampling=sampling_to_proto(job.sampling),
        plan=plan_to_proto(job.plan),
        noise_seed=job.noise_seed,
        max_tokens=job.max_tokens,
        min_tokens=job.min_tokens,
        stop_token_ids=job.stop_token_ids,
        ignore_eos=job.ignore_eos,
        logprobs=job.logprobs,
        time_limit_seconds=job.time_limit_seconds,
        tenant=job.tenant,
        reads_later=True,
    )


def job_from_proto(message: worker_pb2.ExecuteRequest) -> Job:
    """Convert a job back."""
    return Job(
        request_id=message.request_id,
        prompt_ids=tuple(message.prompt_ids),
        generated_ids=tuple(message.generated_ids),
        sampling=sampling_from_proto(message.sampling),
        plan=plan_from_proto(message.plan),
        noise_seed=message.noise_seed,
        max_tokens=message.max_tokens,
        min_tokens=message.min_tokens,
        stop_token_ids=tuple(message.stop_token_ids),
        ignore_eos=message.ignore_eos,
        logprobs=message.logprobs if message.HasField("logprobs") else None,
        time_limit_seconds=message.time_limit_seconds if message.HasField("time_limit_seconds") else None,
        tenant=message.tenant,
    )


def chunks_to_proto(chunks: Sequence[Chunk]) -> worker_pb2.ExecuteResponse:
    """Convert chunks that leave together, one or more."""
    first, *later = chunks
    return _chunk_to_proto(first, map(_chunk_to_proto, later))


def chunks_from_proto(message: worker_pb2.ExecuteResponse, worker_id: str = "") -> Iterator[Chunk]:
    """Convert chunks back; who sent them stands in no message."""
    rounds = (message, *message.later)
    for left, each in zip(range(len(rounds) - 1, -1, -1), rounds, strict=True):
        yield _chunk_from_proto(each, worker_id, more=left > 0)


def _chunk_to_proto(chunk: Chunk, later: Iterable[worker_pb2.ExecuteResponse] = ()) -> worker_pb2.ExecuteResponse:
    return worker_pb2.ExecuteResponse(
        token_ids=chunk.token_ids,
        logprobs=[logprob_to_proto(logprob) for logprob in chunk.logprobs],
        round=None if chunk.round is None else round_to_proto(chunk.round),
        finish_reason=finish_to_proto(chunk.finish),
        matched_token_id=chunk.matched_token_id,
        cached_tokens=chunk.cached_tokens,
        hindsight=[counterfactual_to_proto(outcome) for outcome in chunk.hindsight],
        later=later,
    )


def _chunk_from_proto(message: worker_pb2.ExecuteResponse, worker_id: str, *, more: bool) -> Chunk:
    return Chunk(
        token_ids=tuple(message.token_ids),
        logprobs=tuple(logprob_from_proto(logprob) for logprob in message.logprobs),
        round=round_from_proto(message.round) if message.HasField("round") else None,
        finish=finish_from_proto(message.finish_reason),
        matched_token_id=message.matched_token_id if message.HasField("matched_token_id") else None,
        cached_tokens=message.cached_tokens,
        hindsight=tuple(counterfactual_from_proto(outcome) for outcome in message.hindsight),
        worker_id=worker_id,
        more=more,
    )


def logprob_to_proto(record: TokenLogprob) -> common_pb2.TokenLogprob:
    """Convert one token's log-probability."""
    top = [common_pb2.TopLogprob(token_id=token, logprob=logprob) for token, logprob in record.top]
    return common_pb2.TokenLogprob(token_id=record.token_id, logprob=record.logprob, top=top)


def logprob_from_proto(message: common_pb2.TokenLogprob) -> TokenLogprob:
    """Convert a token's log-probability back."""
    return TokenLogprob(message.token_id, message.logprob, tuple((top.token_id, top.logprob) for top in message.top))
