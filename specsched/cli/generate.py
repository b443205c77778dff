"""`specsched generate`: a completion in the terminal."""

import asyncio
import dataclasses
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.access import CaOption, TokenOption, access_of
from specsched.cli.asking import (
    CautiousOption,
    ClassOption,
    DraftOption,
    GammaOption,
    MaxTokensOption,
    PlainOption,
    PromptArgument,
    RawOption,
    SeedOption,
    TemperatureOption,
    make_request,
)
from specsched.cli.options import AddressOption, ConfigOption, JsonOption, LogOption, PoolOption, configuration
from specsched.cli.output import console, errors, one_line_errors, print_json
from specsched.config.tree import Config
from specsched.records import Completion, Request, Sampling, SpeculationHint, SpeculationMetrics

if TYPE_CHECKING:
    from specsched.client.channel import Access


@one_line_errors
def generate(
    prompt: PromptArgument,
    *,
    address: AddressOption = None,
    token_file: TokenOption = None,
    ca: CaOption = None,
    config: ConfigOption = None,
    pool: PoolOption = None,
    max_tokens: MaxTokensOption = 128,
    temperature: TemperatureOption = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Nucleus: 1 keeps all.")] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="0 keeps all.")] = 0,
    seed: SeedOption = None,
    stop: Annotated[list[str] | None, typer.Option("--stop", help="Ends the completion; again for more.")] = None,
    prompt_class: ClassOption = None,
    draft: DraftOption = None,
    gamma: GammaOption = None,
    log_level: LogOption = "warning",
    plain: PlainOption = False,
    no_exploration: CautiousOption = False,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Stream a completion, then say which class, draft and γ it had, and how fast it was."""
    from specsched.telemetry.logging import configure_logging

    settings = configuration(config, pool=pool, log_level=log_level)
    configure_logging(settings.log.level, settings.log.format)
    request = make_request(
        prompt,
        raw=raw,
        max_tokens=max_tokens,
        sampling=Sampling(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed),
        prompt_class=prompt_class,
        hint=SpeculationHint(plain, draft, gamma, disable_exploration=no_exploration),
        stop=tuple(stop or ()),
    )
    completion = asyncio.run(_generate(request, address, settings, access_of(token_file, ca), quiet=as_json))
    if as_json:
        print_json(dataclasses.asdict(completion))
    else:
        console.print(_account(completion), style="dim", highlight=False)


async def _generate(
    request: Request, address: str | None, config: Config, access: "Access", *, quiet: bool
) -> Completion:
    from specsched.cli.service import service_at

    with errors.status("connecting" if address else "loading models") as status:
        async with (
            service_at(address, config, status.update, access) as service,
            aclosing(service.generate(request)) as answers,
        ):
            async for answer in answers:
                status.stop()
                if isinstance(answer, Completion):
                    return answer
                if not quiet:
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
