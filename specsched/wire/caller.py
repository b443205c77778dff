"""The caller's side of the public service: requests out, answers in."""

from collections.abc import Iterator
from contextlib import contextmanager

from specsched.errors import InvalidRequest, Violation
from specsched.records import (
    ChatPrompt,
    ClassProbabilities,
    Completion,
    Decision,
    Plan,
    Request,
    SpeculationMetrics,
    TextChunk,
    TextPrompt,
    Timings,
    Usage,
)
from specsched.v1 import common_pb2, scheduler_pb2
from specsched.wire.job import finish_from_proto, logprob_from_proto
from specsched.wire.plan import budget_from_proto, plan_from_proto, round_from_proto
from specsched.wire.sampling import sampling_to_proto


def request_to_proto(request: Request) -> scheduler_pb2.GenerateRequest:
    """Convert a call of Generate.

    Raises:
        InvalidRequest: a value that no message can hold.
    """
    with representable():
        return _generate_request(request)


def _generate_request(request: Request) -> scheduler_pb2.GenerateRequest:
    message = scheduler_pb2.GenerateRequest(
        request_id=request.request_id,
        sampling=sampling_to_proto(request.sampling),
        stopping=_stopping(request),
        output=scheduler_pb2.OutputParams(
            logprobs=request.output.logprobs,
            echo=request.output.echo,
            include_rounds=request.output.include_rounds,
            complete_only=request.output.complete_only,
        ),
        speculation=_hint(request),
        prompt_class=request.prompt_class or "",
        tenant=request.tenant,
        priority=request.priority,
    )
    _set_prompt(message, request)
    return message


def decide_request_to_proto(request: Request) -> scheduler_pb2.DecideRequest:
    """Convert a call of Decide; raises as `request_to_proto` does."""
    with representable():
        return _decide_request(request)


def _decide_request(request: Request) -> scheduler_pb2.DecideRequest:
    message = scheduler_pb2.DecideRequest(
        request_id=request.request_id,
        sampling=sampling_to_proto(request.sampling),
        stopping=_stopping(request),
        speculation=_hint(request),
        prompt_class=request.prompt_class or "",
        tenant=request.tenant,
    )
    _set_prompt(message, request)
    return message


def answer_from_proto(message: scheduler_pb2.GenerateResponse) -> TextChunk | Completion:
    """Convert a delta, or the account at the end."""
    if message.WhichOneof("response") == "complete":
        return _completion(message.complete)
    chunk = message.chunk
    return TextChunk(
        text=chunk.text,
        token_ids=tuple(chunk.token_ids),
        logprobs=tuple(logprob_from_proto(each) for each in chunk.logprobs),
        round=round_from_proto(chunk.round) if chunk.HasField("round") else None,
    )


def decision_from_proto(message: scheduler_pb2.DecideResponse) -> Decision:
    """Convert a decision with its plan and the score of every arm."""
    return Decision(
        _probabilities(message.decision),
        plan_from_proto(message.plan),
        message.decision.config_sha,
        budget_from_proto(message.guard) if message.HasField("guard") else None,
    )


@contextmanager
def representable() -> Iterator[None]:
    """Refuse what no message can hold, a number too wide or text that is no Unicode; protobuf says which."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise InvalidRequest([Violation("request", str(error))]) from error


def _set_prompt(message: scheduler_pb2.GenerateRequest | scheduler_pb2.DecideRequest, request: Request) -> None:
    prompt = request.prompt
    if isinstance(prompt, TextPrompt):
        message.text = prompt.text
    elif isinstance(prompt, ChatPrompt):
        message.messages.SetInParent()
        for each in prompt.messages:
            message.messages.messages.add(role=each.role, content=each.content)
    else:
        message.token_ids.SetInParent()
        message.token_ids.ids.extend(prompt.token_ids)


def _stopping(request: Request) -> scheduler_pb2.StoppingParams:
    stopping = request.stopping
    return scheduler_pb2.StoppingParams(
        max_tokens=stopping.max_tokens,
        min_tokens=stopping.min_tokens,
        stop=stopping.stop,
        stop_token_ids=stopping.stop_token_ids,
        ignore_eos=stopping.ignore_eos,
        max_time_seconds=stopping.max_time_seconds,
    )


def _hint(request: Request) -> scheduler_pb2.SpeculationHint:
    hint = request.speculation
    return scheduler_pb2.SpeculationHint(
        disable_speculative_decoding=hint.disable,
        draft_model=hint.draft_model,
        num_speculative_tokens=hint.num_speculative_tokens,
        max_num_speculative_tokens=hint.max_num_speculative_tokens,
        disable_exploration=hint.disable_exploration or None,
    )


def _completion(message: scheduler_pb2.GenerateComplete) -> Completion:
    finish = finish_from_proto(message.finish_reason)
    assert finish is not None, "a complete message has a finish reason"
    kind = message.WhichOneof("matched_stop")
    usage, timings = message.usage, message.timings
    return Completion(
        text=message.text,
        token_ids=tuple(message.token_ids),
        finish_reason=finish,
        usage=Usage(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens),
        decision=_decision(message.decision),
        speculation=_metrics(message.speculative_decoding),
        timings=Timings(
            queue_seconds=timings.queue_seconds,
            time_to_first_token_seconds=timings.time_to_first_token_seconds,
            decode_seconds=timings.decode_seconds,
            tokens_per_second=timings.tokens_per_second,
        ),
        matched_stop=getattr(message, kind) if kind else None,
    )


def _decision(message: common_pb2.Decision) -> Decision:
    """Convert the short form that a completion carries."""
    plan = Plan(
        draft_model=message.draft_model,
        gamma=message.gamma,
        explored=message.explored,
        policy=message.policy,
        policy_version=message.policy_version,
    )
    return Decision(_probabilities(message), plan, message.config_sha)


def _probabilities(message: common_pb2.Decision) -> ClassProbabilities:
    pairs = message.class_probabilities
    return ClassProbabilities(tuple(p.prompt_class for p in pairs), tuple(p.probability for p in pairs))


def _metrics(message: scheduler_pb2.SpeculativeDecodingMetrics) -> SpeculationMetrics:
    return SpeculationMetrics(
        num_spec_steps=message.num_spec_steps,
        num_draft_tokens=message.num_draft_tokens,
        num_accepted_draft_tokens=message.num_accepted_draft_tokens,
        acceptance_histogram=tuple(message.acceptance_histogram),
        acceptance_histogram_by_draft_length={
            gamma: tuple(histogram.counts) for gamma, histogram in message.acceptance_histogram_by_draft_length.items()
        },
    )
