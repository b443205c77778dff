"""Attributes of spans: OpenTelemetry's semantic conventions for generative AI, kept here alone as they still move.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. What has no name there stands under `specsched.`.
Prompts, completions and stop strings are text and never attributes.
"""

from specsched.records import ChatPrompt, Completion, Decision, Request
from specsched.telemetry.tracing.base import Attributes

PROVIDER = "specsched"


def operation_of(request: Request) -> str:
    """`gen_ai.operation.name` of a request."""
    return "chat" if isinstance(request.prompt, ChatPrompt) else "text_completion"


def request_attributes(request: Request, model: str) -> Attributes:
    """What is known when a request arrives."""
    sampling = request.sampling
    known: dict[str, str | bool | int | float] = {
        "gen_ai.operation.name": operation_of(request),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.request.max_tokens": request.stopping.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.top_k": sampling.top_k,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
        "specsched.request_id": request.request_id,
        "specsched.tenant": request.tenant,
        "specsched.priority": request.priority,
    }
    if sampling.seed is not None:
        known["gen_ai.request.seed"] = sampling.seed
    return known


def decision_attributes(decision: Decision) -> Attributes:
    """What the policy chose."""
    plan = decision.plan
    return {
        "specsched.prompt_class": decision.prompt_class,
        "specsched.draft_model": plan.draft_model,
        "specsched.gamma": plan.gamma,
        "specsched.explored": plan.explored,
        "specsched.policy": plan.policy,
        "specsched.config_sha": decision.config_sha,
    }


def completion_attributes(request_id: str, completion: Completion) -> Attributes:
    """What came of it."""
    return {
        "gen_ai.response.id": request_id,
        "gen_ai.response.finish_reasons": [completion.finish_reason.value],
        "gen_ai.usage.input_tokens": completion.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": completion.usage.completion_tokens,
        "specsched.acceptance_length": completion.speculation.mean_acceptance_length,
        "specsched.num_draft_tokens": completion.speculation.num_draft_tokens,
        "specsched.num_accepted_draft_tokens": completion.speculation.num_accepted_draft_tokens,
        "specsched.time_to_first_token_seconds": completion.timings.time_to_first_token_seconds,
    }
