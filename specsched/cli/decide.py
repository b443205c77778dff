"""`specsched decide`: the decision explained."""

import asyncio
import dataclasses

from specsched.cli.asking import Asked, asking
from specsched.cli.output import console, errors, one_line_errors, print_json, print_table
from specsched.records import Decision, GuardBudget


@one_line_errors
@asking
def decide(asked: Asked) -> None:
    """Classify a prompt and say which draft and γ would be used, and what every arm promises."""
    decision = asyncio.run(_decide(asked))
    print_json(dataclasses.asdict(decision)) if asked.as_json else _show(decision)


async def _decide(asked: Asked) -> Decision:
    with errors.status(asked.waits_for) as status:
        async with asked.service(status.update) as service:
            return await service.decide(asked.request())


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
    if decision.guard is not None:
        console.print(f"guard  {_told(decision.guard)}", highlight=False)
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


def _told(budget: GuardBudget) -> str:
    """Whose tokens speculation may lose, and how many."""
    whose = f"tenant {budget.tenant or '(default)'} on {budget.worker_id}"
    if budget.tokens is None:
        return f"{whose} has decoded nothing there yet"
    if budget.tokens < 0:
        return f"{whose} may lose nothing: it is {-budget.tokens:.1f} tokens behind plain decoding"
    return f"{whose} may lose {budget.tokens:.1f} tokens against plain decoding"
