"""Sampling parameters, in both directions. Unset fields and defaults mean the same."""

from specsched.records import Sampling
from specsched.v1 import common_pb2

_OPTIONAL = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
)


def sampling_from_proto(message: common_pb2.SamplingParams) -> Sampling:
    """Convert; what is unset takes the record's default."""
    given = {name: getattr(message, name) for name in _OPTIONAL if message.HasField(name)}  # type: ignore[arg-type]
    return Sampling(logit_bias=dict(message.logit_bias), **given)


def sampling_to_proto(sampling: Sampling) -> common_pb2.SamplingParams:
    """Convert back; every field that has a value is set."""
    message = common_pb2.SamplingParams(logit_bias=dict(sampling.logit_bias))
    for name in _OPTIONAL:
        value = getattr(sampling, name)
        if value is not None:
            setattr(message, name, value)
    return message
