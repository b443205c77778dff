"""`specsched generate`: a completion in the terminal."""

import asyncio
import dataclasses
from contextlib import aclosing
from typing import Annotated

import typer

from specsched.cli.asking import Asked, asking
from specsched.cli.output import console, errors, one_line_errors, print_json
from specsched.records import Completion, Request, SpeculationMetrics


@one_line_errors
@asking
def generate(
    asked: Asked,
    top_p: Annotated[float, typer.Option("--top-p", help="Nucleus: 1 keeps all.")] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="0 keeps all.")] = 0,
    stop: Annotated[list[str] | None, typer.Option("--stop", help="Ends the completion; again for more.")] = None,
) -> None:
    """Stream a completion, then say which class, draft and γ it had, and how fast it was."""
    request = asked.request(top_p=top_p, top_k=top_k, stop=tuple(stop or ()))
    completion = asyncio.run(_generate(asked, request))
    if asked.as_json:
        print_json(dataclasses.asdict(completion))
    else:
        console.print(_account(completion), style="dim", highlight=False)


async def _generate(asked: Asked, request: Request) -> Completion:
    with errors.status(asked.waits_for) as status:
        async with (
            asked.service(status.update) as service,
            aclosing(service.generate(request)) as answers,
        ):
            async for answer in answers:
                status.stop()
                if isinstance(answer, Completion):
                    return answer
                if not asked.as_json:
                    console.out(answer.text, end="", highlight=False)
    raise AssertionError("a completion ends with its account")


def _account(completion: Completion) -> str:
    decision, plan, timings = completion.decision, completion.decision.plan, completion.timings
    return (
        f"\n\nclass {decision.prompt_class} · draft {plan.draft_model} · γ {plan.gamma} at first · "
        f"{_acceptance(completion.speculation)} · {completion.usage.completion_tokens} tokens at"
        f" {timings.tokens_per_second:.1f} tokens/s · first after {timings.time_to_first_token_seconds * 1000:.0f} ms ·"
        f" {completion.finish_reason}"
    )


def _acceptance(speculation: SpeculationMetrics) -> str:
    if not speculation.num_spec_steps:
        return "no round drafted"
    return f"acceptance length {speculation.mean_acceptance_length:.2f} over {speculation.num_spec_steps} rounds"
