"""The parts of a public call that are records of their own."""

from specsched.records import (
    ChatMessage,
    ChatPrompt,
    Output,
    Prompt,
    SpeculationHint,
    Stopping,
    TextPrompt,
    TokenPrompt,
)
from specsched.v1 import scheduler_pb2

AnyRequest = scheduler_pb2.GenerateRequest | scheduler_pb2.DecideRequest


def prompt_of(message: AnyRequest) -> Prompt:
    """Convert the prompt, whichever kind it is."""
    kind = message.WhichOneof("prompt")
    if kind == "token_ids":
        return TokenPrompt(tuple(message.token_ids.ids))
    if kind == "messages":
        return ChatPrompt(tuple(ChatMessage(m.role, m.content) for m in message.messages.messages))
    return TextPrompt(message.text)


def stopping_of(message: AnyRequest) -> Stopping:
    """Convert; what is unset takes the record's default."""
    given = message.stopping
    defaults = Stopping()
    max_tokens = optional(given, "max_tokens")
    return Stopping(
        max_tokens=defaults.max_tokens if max_tokens is None else max_tokens,
        min_tokens=given.min_tokens,
        stop=tuple(given.stop),
        stop_token_ids=tuple(given.stop_token_ids),
        ignore_eos=given.ignore_eos,
        max_time_seconds=given.max_time_seconds if given.HasField("max_time_seconds") else None,
    )


def output_of(message: scheduler_pb2.GenerateRequest) -> Output:
    """Convert."""
    given = message.output
    return Output(optional(given, "logprobs"), given.echo, given.include_rounds, given.complete_only)


def hint_of(hint: scheduler_pb2.SpeculationHint) -> SpeculationHint:
    """Convert; what is unset stays None."""
    return SpeculationHint(
        disable=hint.disable_speculative_decoding,
        draft_model=hint.draft_model if hint.HasField("draft_model") else None,
        num_speculative_tokens=optional(hint, "num_speculative_tokens"),
        max_num_speculative_tokens=optional(hint, "max_num_speculative_tokens"),
        disable_exploration=hint.disable_exploration,
    )


def optional(
    message: scheduler_pb2.OutputParams | scheduler_pb2.StoppingParams | scheduler_pb2.SpeculationHint, name: str
) -> int | None:
    """Return an optional integer field, None where it is unset."""
    return int(getattr(message, name)) if message.HasField(name) else None  # type: ignore[arg-type]
