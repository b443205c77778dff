"""What the contract refuses, by the field's path, and all of it at once."""

import math
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.errors import InvalidRequest
from specsched.v1 import scheduler_pb2
from specsched.wire.request import request_from_proto
from specsched.wire.validation import violations

CLASSES = ("chat", "code")
NUMBERS = (
    "sampling.temperature",
    "sampling.top_p",
    "sampling.min_p",
    "sampling.repetition_penalty",
    "sampling.presence_penalty",
    "sampling.frequency_penalty",
    "stopping.max_time_seconds",
)

Call = scheduler_pb2.GenerateRequest | scheduler_pb2.DecideRequest


def call(kind: type[Call] = scheduler_pb2.GenerateRequest, **fields: Any) -> Call:
    if not fields.keys() & {"text", "token_ids", "messages"}:
        fields["text"] = "hi"
    return kind(**fields)


def with_value(path: str, value: float) -> Call:
    section, field = path.split(".")
    return call(**{section: {field: value}})


def refused(message: Call) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        request_from_proto(message, CLASSES)
    return {violation.field: violation.description for violation in caught.value.violations}


BAD = [
    (call(request_id="x" * 129), "request_id", "has 129 characters; at most 128"),
    (call(request_id="a\nb"), "request_id", "has characters that cannot be printed"),
    (call(tenant="x" * 129), "tenant", "has 129 characters; at most 128"),
    (call(tenant="\x00"), "tenant", "has characters that cannot be printed"),
    (call(prompt_class="verse"), "prompt_class", "is none of chat, code"),
    (scheduler_pb2.GenerateRequest(), "prompt", "is missing: give text, token_ids or messages"),
    (call(text=""), "text", "is empty"),
    (call(token_ids={}), "token_ids.ids", "is empty"),
    (call(token_ids={"ids": [1, -1]}), "token_ids.ids", "has a negative id"),
    (call(messages={}), "messages.messages", "is empty"),
    (
        call(messages={"messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "x"}]}),
        "messages.messages[1].role",
        "is none of system, user, assistant",
    ),
    (call(messages={"messages": [{"role": "user"}]}), "messages.messages[0].content", "is empty"),
    (with_value("sampling.temperature", -0.5), "sampling.temperature", "is -0.5, which lies outside [0, 100]"),
    (with_value("sampling.temperature", 101), "sampling.temperature", "is 101.0, which lies outside [0, 100]"),
    (with_value("sampling.top_p", 0), "sampling.top_p", "is 0.0, which lies outside (0, 1]"),
    (with_value("sampling.top_p", 1.5), "sampling.top_p", "is 1.5, which lies outside (0, 1]"),
    (with_value("sampling.top_k", -1), "sampling.top_k", "is -1, which is negative"),
    (with_value("sampling.min_p", -0.1), "sampling.min_p", "is -0.1, which lies outside [0, 1]"),
    (with_value("sampling.min_p", 1.1), "sampling.min_p", "is 1.1, which lies outside [0, 1]"),
    (
        with_value("sampling.repetition_penalty", 0),
        "sampling.repetition_penalty",
        "is 0.0, which lies outside (0, 10]",
    ),
    (
        with_value("sampling.repetition_penalty", 11),
        "sampling.repetition_penalty",
        "is 11.0, which lies outside (0, 10]",
    ),
    (
        with_value("sampling.presence_penalty", 2.5),
        "sampling.presence_penalty",
        "is 2.5, which lies outside [-2, 2]",
    ),
    (
        with_value("sampling.frequency_penalty", -2.5),
        "sampling.frequency_penalty",
        "is -2.5, which lies outside [-2, 2]",
    ),
    (
        call(sampling={"logit_bias": dict.fromkeys(range(1025), 1.0)}),
        "sampling.logit_bias",
        "has 1025 entries; at most 1024",
    ),
    (call(sampling={"logit_bias": {-3: 1.0}}), "sampling.logit_bias[-3]", "is a negative token id"),
    (
        call(sampling={"logit_bias": {3: 100.5}}),
        "sampling.logit_bias[3]",
        "is 100.5, which lies outside [-100, 100]",
    ),
    (
        call(sampling={"logit_bias": {3: math.nan}}),
        "sampling.logit_bias[3]",
        "is nan, which lies outside [-100, 100]",
    ),
    (with_value("stopping.max_tokens", 0), "stopping.max_tokens", "is 0; at least 1"),
    (with_value("stopping.min_tokens", -1), "stopping.min_tokens", "is -1; at least 0"),
    (with_value("stopping.min_tokens", 257), "stopping.min_tokens", "is 257, above max_tokens 256"),
    (call(stopping={"stop": ["x"] * 17}), "stopping.stop", "has 17 strings; at most 16"),
    (call(stopping={"stop": ["x", ""]}), "stopping.stop[1]", "has 0 characters; 1 to 256"),
    (call(stopping={"stop": ["x" * 257]}), "stopping.stop[0]", "has 257 characters; 1 to 256"),
    (call(stopping={"stop_token_ids": [1] * 129}), "stopping.stop_token_ids", "has more than 128 ids"),
    (call(stopping={"stop_token_ids": [1, -2]}), "stopping.stop_token_ids", "has a negative id"),
    (with_value("stopping.max_time_seconds", 0), "stopping.max_time_seconds", "is 0.0; above 0 and finite"),
    (with_value("output.logprobs", 21), "output.logprobs", "is 21; 0 to 20"),
    (with_value("output.logprobs", -1), "output.logprobs", "is -1; 0 to 20"),
    (
        call(output={"complete_only": True, "echo": True}),
        "output.complete_only",
        "leaves out the chunks that show logprobs, echo and rounds",
    ),
    (
        with_value("speculation.num_speculative_tokens", 65),
        "speculation.num_speculative_tokens",
        "is 65; 0 to 64",
    ),
    (
        with_value("speculation.max_num_speculative_tokens", -1),
        "speculation.max_num_speculative_tokens",
        "is -1; 0 to 64",
    ),
    (
        call(speculation={"num_speculative_tokens": 5, "max_num_speculative_tokens": 4}),
        "speculation.num_speculative_tokens",
        "is 5, above max_num_speculative_tokens 4",
    ),
    (call(speculation={"draft_model": ""}), "speculation.draft_model", "is empty"),
    (
        call(speculation={"disable_speculative_decoding": True, "draft_model": "small"}),
        "speculation.draft_model",
        "contradicts disable_speculative_decoding",
    ),
    (
        call(speculation={"disable_speculative_decoding": True, "num_speculative_tokens": 2}),
        "speculation.num_speculative_tokens",
        "contradicts disable_speculative_decoding",
    ),
]


@pytest.mark.parametrize(("message", "field", "description"), BAD, ids=[f"{field}: {what}" for _, field, what in BAD])
def test_a_broken_rule_is_told_with_its_field(message: Call, field: str, description: str) -> None:
    assert refused(message) == {field: description}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("path", NUMBERS)
def test_no_number_may_be_infinite_or_none_at_all(path: str, value: float) -> None:
    assert list(refused(with_value(path, value))) == [path]


@pytest.mark.parametrize(
    "message",
    [
        call(request_id="x" * 128, tenant="ü" * 128, prompt_class="code"),
        call(token_ids={"ids": [0, 2**31 - 1]}),
        call(messages={"messages": [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]}),
        call(sampling={"temperature": 0, "top_p": 1, "min_p": 1, "repetition_penalty": 10, "presence_penalty": -2}),
        call(sampling={"temperature": 100, "top_p": 5e-324, "frequency_penalty": 2, "seed": -(2**63)}),
        call(sampling={"logit_bias": dict.fromkeys(range(1024), -100.0)}),
        call(stopping={"max_tokens": 1, "min_tokens": 1, "stop": ["x" * 256] * 16, "stop_token_ids": [0] * 128}),
        call(output={"logprobs": 20}),
        call(speculation={"num_speculative_tokens": 64, "max_num_speculative_tokens": 64}),
        call(speculation={"disable_speculative_decoding": True, "draft_model": "none", "num_speculative_tokens": 0}),
    ],
    ids=lambda message: "",
)
def test_what_lies_on_a_bound_is_allowed(message: Call) -> None:
    assert request_from_proto(message, CLASSES)


EVERYTHING = {
    "request_id": "\t",
    "tenant": "\n",
    "text": "",
    "prompt_class": "verse",
    "sampling": {
        "temperature": -1,
        "top_p": 2,
        "top_k": -1,
        "min_p": 2,
        "repetition_penalty": 0,
        "presence_penalty": 3,
        "frequency_penalty": 3,
        "logit_bias": {-1: 1.0, 2: 101.0},
    },
    "stopping": {
        "max_tokens": 0,
        "min_tokens": -1,
        "stop": [""] * 17,
        "stop_token_ids": [-1],
        "max_time_seconds": -1,
    },
    "speculation": {"num_speculative_tokens": 99, "max_num_speculative_tokens": 98, "draft_model": ""},
}


@pytest.mark.parametrize("kind", [scheduler_pb2.GenerateRequest, scheduler_pb2.DecideRequest])
def test_every_broken_rule_is_told_at_once(kind: type[Call]) -> None:
    fields = set(refused(call(kind, **EVERYTHING)))
    assert fields == {
        "request_id",
        "tenant",
        "text",
        "prompt_class",
        *(f"sampling.{name}" for name in EVERYTHING["sampling"] if name != "logit_bias"),
        "sampling.logit_bias[-1]",
        "sampling.logit_bias[2]",
        *(f"stopping.{name}" for name in EVERYTHING["stopping"]),
        *(f"stopping.stop[{i}]" for i in range(17)),
        *(f"speculation.{name}" for name in EVERYTHING["speculation"]),
    }


def test_the_message_names_every_broken_rule() -> None:
    message = call(text="", sampling={"temperature": -1, "top_k": -1})
    with pytest.raises(InvalidRequest) as caught:
        request_from_proto(message, CLASSES)
    assert str(caught.value) == (
        "text: is empty; sampling.temperature: is -1.0, which lies outside [0, 100]; sampling.top_k: is -1, "
        "which is negative"
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.binary(max_size=60),
    st.sampled_from([scheduler_pb2.GenerateRequest, scheduler_pb2.DecideRequest]),
    st.sampled_from(["sampling", "stopping", "speculation", "messages", "token_ids"]),
)
def test_whatever_parses_is_converted_or_refused(data: bytes, kind: type[Call], section: str) -> None:
    message = kind(text="hi")
    try:
        getattr(message, section).MergeFromString(data)
    except DecodeError:  # the server refuses such bytes before
        return
    found = list(violations(message, CLASSES))
    if found:
        assert refused(message) == {violation.field: violation.description for violation in found}
    else:
        assert request_from_proto(message, CLASSES)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", 1e-38), ("temperature", 9e-5), ("repetition_penalty", 1e-3)]
)
def test_numbers_too_small_to_compute_with_are_refused(name: str, value: float) -> None:
    message = scheduler_pb2.GenerateRequest(text="x", sampling={name: value})
    (violation,) = violations(message, ())
    assert violation.field == f"sampling.{name}"
    assert "too small" in violation.description
