"""What is wrong with a public call by the contract alone; every violation, by its field's path."""

import math
from collections.abc import Iterator, Sequence

from specsched.errors import Violation
from specsched.v1 import scheduler_pb2, worker_pb2
from specsched.wire.fields import AnyRequest, hint_of, optional, stopping_of
from specsched.wire.sampling import sampling_from_proto

MAX_ID_CHARACTERS = 128
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_STOP_TOKENS = 128
MAX_LOGIT_BIAS = 1024
MAX_LOGPROBS = 20
MAX_GAMMA = 64
LEAST_TEMPERATURE = 1e-4
LEAST_REPETITION_PENALTY = 0.01
_ROLES = ("system", "user", "assistant")


def violations(message: AnyRequest, prompt_classes: Sequence[str]) -> Iterator[Violation]:
    """Check a call; `prompt_classes` are those that a caller may name."""
    yield from _identity(message, prompt_classes)
    yield from _prompt(message)
    yield from sampling_violations(message)
    yield from _stopping(message)
    yield from _speculation(message)
    if isinstance(message, scheduler_pb2.GenerateRequest):
        yield from _output(message)


def _identity(message: AnyRequest, prompt_classes: Sequence[str]) -> Iterator[Violation]:
    for name in ("request_id", "tenant"):
        value = getattr(message, name)
        if len(value) > MAX_ID_CHARACTERS:
            yield Violation(name, f"has {len(value)} characters; at most {MAX_ID_CHARACTERS}")
        elif not value.isprintable():
            yield Violation(name, "has characters that cannot be printed")
    if message.prompt_class and message.prompt_class not in prompt_classes:
        yield Violation("prompt_class", f"is none of {', '.join(prompt_classes)}")


def _prompt(message: AnyRequest) -> Iterator[Violation]:
    kind = message.WhichOneof("prompt")
    if kind is None:
        yield Violation("prompt", "is missing: give text, token_ids or messages")
    elif kind == "text" and not message.text:
        yield Violation("text", "is empty")
    elif kind == "token_ids":
        yield from _token_ids(message)
    elif kind == "messages":
        yield from _messages(message)


def _token_ids(message: AnyRequest) -> Iterator[Violation]:
    if not message.token_ids.ids:
        yield Violation("token_ids.ids", "is empty")
    elif min(message.token_ids.ids) < 0:
        yield Violation("token_ids.ids", "has a negative id")


def _messages(message: AnyRequest) -> Iterator[Violation]:
    if not message.messages.messages:
        yield Violation("messages.messages", "is empty")
    for i, said in enumerate(message.messages.messages):
        if said.role not in _ROLES:
            yield Violation(f"messages.messages[{i}].role", f"is none of {', '.join(_ROLES)}")
        if not said.content:
            yield Violation(f"messages.messages[{i}].content", "is empty")


def sampling_violations(message: AnyRequest | worker_pb2.ExecuteRequest) -> Iterator[Violation]:
    """Check how tokens are drawn."""
    sampling = sampling_from_proto(message.sampling)
    bounds = (
        ("temperature", 0.0 <= sampling.temperature <= 100.0, "lies outside [0, 100]"),
        ("top_p", 0.0 < sampling.top_p <= 1.0, "lies outside (0, 1]"),
        ("top_k", sampling.top_k >= 0, "is negative"),
        ("min_p", 0.0 <= sampling.min_p <= 1.0, "lies outside [0, 1]"),
        ("repetition_penalty", 0.0 < sampling.repetition_penalty <= 10.0, "lies outside (0, 10]"),
        ("presence_penalty", -2.0 <= sampling.presence_penalty <= 2.0, "lies outside [-2, 2]"),
        ("frequency_penalty", -2.0 <= sampling.frequency_penalty <= 2.0, "lies outside [-2, 2]"),
    )
    for name, holds, what in bounds:
        if not holds:  # NaN fails every comparison
            yield Violation(f"sampling.{name}", f"is {getattr(sampling, name)}, which {what}")
    for name, least in (("temperature", LEAST_TEMPERATURE), ("repetition_penalty", LEAST_REPETITION_PENALTY)):
        if 0.0 < getattr(sampling, name) < least:  # logits would leave what float32 holds
            yield Violation(
                f"sampling.{name}", f"is {getattr(sampling, name)}, too small to compute with; least {least}"
            )
    if len(sampling.logit_bias) > MAX_LOGIT_BIAS:
        yield Violation("sampling.logit_bias", f"has {len(sampling.logit_bias)} entries; at most {MAX_LOGIT_BIAS}")
    for token, bias in sampling.logit_bias.items():
        if token < 0:
            yield Violation(f"sampling.logit_bias[{token}]", "is a negative token id")
        if not -100.0 <= bias <= 100.0:
            yield Violation(f"sampling.logit_bias[{token}]", f"is {bias}, which lies outside [-100, 100]")


def _stopping(message: AnyRequest) -> Iterator[Violation]:
    stopping = stopping_of(message)
    if stopping.max_tokens < 1:
        yield Violation("stopping.max_tokens", f"is {stopping.max_tokens}; at least 1")
    if stopping.min_tokens < 0:
        yield Violation("stopping.min_tokens", f"is {stopping.min_tokens}; at least 0")
    elif stopping.min_tokens > max(1, stopping.max_tokens):
        yield Violation("stopping.min_tokens", f"is {stopping.min_tokens}, above max_tokens {stopping.max_tokens}")
    if len(stopping.stop) > MAX_STOPS:
        yield Violation("stopping.stop", f"has {len(stopping.stop)} strings; at most {MAX_STOPS}")
    for i, stop in enumerate(stopping.stop):
        if not 0 < len(stop) <= MAX_STOP_CHARACTERS:
            yield Violation(f"stopping.stop[{i}]", f"has {len(stop)} characters; 1 to {MAX_STOP_CHARACTERS}")
    if len(stopping.stop_token_ids) > MAX_STOP_TOKENS:
        yield Violation("stopping.stop_token_ids", f"has more than {MAX_STOP_TOKENS} ids")
    if any(token < 0 for token in stopping.stop_token_ids):
        yield Violation("stopping.stop_token_ids", "has a negative id")
    seconds = stopping.max_time_seconds
    if seconds is not None and not 0.0 < seconds < math.inf:
        yield Violation("stopping.max_time_seconds", f"is {seconds}; above 0 and finite")


def _output(message: scheduler_pb2.GenerateRequest) -> Iterator[Violation]:
    logprobs = optional(message.output, "logprobs")
    if logprobs is not None and not 0 <= logprobs <= MAX_LOGPROBS:
        yield Violation("output.logprobs", f"is {logprobs}; 0 to {MAX_LOGPROBS}")
    if message.output.complete_only and (logprobs is not None or message.output.echo or message.output.include_rounds):
        yield Violation("output.complete_only", "leaves out the chunks that show logprobs, echo and rounds")


def _speculation(message: AnyRequest) -> Iterator[Violation]:
    hint = hint_of(message.speculation)
    pinned, bound = hint.num_speculative_tokens, hint.max_num_speculative_tokens
    for name, value in (("num_speculative_tokens", pinned), ("max_num_speculative_tokens", bound)):
        if value is not None and not 0 <= value <= MAX_GAMMA:
            yield Violation(f"speculation.{name}", f"is {value}; 0 to {MAX_GAMMA}")
    if pinned is not None and bound is not None and pinned > bound:
        yield Violation("speculation.num_speculative_tokens", f"is {pinned}, above max_num_speculative_tokens {bound}")
    if hint.draft_model == "":
        yield Violation("speculation.draft_model", "is empty")
    if hint.disable and hint.draft_model not in (None, "none"):
        yield Violation("speculation.draft_model", "contradicts disable_speculative_decoding")
    if hint.disable and pinned:
        yield Violation("speculation.num_speculative_tokens", "contradicts disable_speculative_decoding")
