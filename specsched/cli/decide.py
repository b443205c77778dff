"""`specsched decide`: the decision explained."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING

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
from specsched.cli.output import console, errors, one_line_errors, print_json, print_table
from specsched.config.tree import Config
from specsched.records import Decision, Request, Sampling, SpeculationHint

if TYPE_CHECKING:
    from specsched.client.channel import Access


@one_line_errors
def decide(
    prompt: PromptArgument,
    *,
    address: AddressOption = None,
    token_file: TokenOption = None,
    ca: CaOption = None,
    config: ConfigOption = None,
    pool: PoolOption = None,
    max_tokens: MaxTokensOption = 256,
    temperature: TemperatureOption = 0.0,
    seed: SeedOption = None,
    prompt_class: ClassOption = None,
    draft: DraftOption = None,
    gamma: GammaOption = None,
    log_level: LogOption = "warning",
    plain: PlainOption = False,
    no_exploration: CautiousOption = False,
    raw: RawOption = False,
    as_json: JsonOption = False,
) -> None:
    """Classify a prompt and say which draft and γ would be used, and what every arm promises."""
    from specsched.telemetry.logging import configure_logging

    settings = configuration(config, pool=pool, log_level=log_level)
    configure_logging(settings.log.level, settings.log.format)
    request = make_request(
        prompt,
        raw=raw,
        max_tokens=max_tokens,
        sampling=Sampling(temperature=temperature, seed=seed),
        prompt_class=prompt_class,
        hint=SpeculationHint(plain, draft, gamma, disable_exploration=no_exploration),
    )
    decision = asyncio.run(_decide(request, address, settings, access_of(token_file, ca)))
    print_json(dataclasses.asdict(decision)) if as_json else _show(decision)


async def _decide(request: Request, address: str | None, config: Config, access: "Access") -> Decision:
    from specsched.cli.service import service_at

    with errors.status("connecting" if address else "loading models") as status:
        async with service_at(address, config, status.update, access) as service:
            return await service.decide(request)


def _show(decision: Decision) -> None:
    plan, pi = decision.plan, decision.class_probabilities
    ranked = sorted(zip(pi.probabilities, pi.classes, strict=True), reverse=True)
    console.print("class  " + "  ".join(f"{name} {p:.2f}" for p, name in ranked[:4]), highlight=False)
    how = "explored" if plan.explored else "best known"
    console.print(
        f"plan   draft {plan.draft_model}, γ {plan.gamma}, {how}, chosen with probability {plan.propensity:.2f}"
        f"  (policy {plan.policy} {plan.policy_version}, config {decision.config_sha})",
        highlight=False,
    )
    if plan.scores:
        columns = ("draft", "γ", "tokens/s", "5 %", "95 %", "tokens/round", "ms/round")
        scores = sorted(plan.scores, key=lambda score: -score.goodput_tokens_per_second)
        rows = [
            (
                s.draft_model,
                s.gamma,
                round(s.goodput_tokens_per_second, 1),
                round(s.goodput_low, 1),
                round(s.goodput_high, 1),
                s.acceptance_length,
                s.round_seconds * 1000,
            )
            for s in scores
        ]
        print_table("Arms by expected goodput", columns, rows)
