"""`specsched bench round`: where a round's time goes, and what it costs beside its models."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.running import FileOption, PromptsOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import Pool
    from specsched.records import Sampling

_ROOM_TOKENS = 1024
_BATCHES = (1, 8)


@one_line_errors
def rounds(
    pool: PoolOption = None,
    draft: Annotated[str, typer.Option(help="Which draft proposes.")] = "general",
    gamma: Annotated[int, typer.Option(min=1, help="Its lookahead.")] = 4,
    quantization: Annotated[str, typer.Option(help="Of the target: none or int8.")] = "int8",
    temperature: Annotated[float, typer.Option(min=0.0, help="0: greedy.")] = 0.0,
    prompts: PromptsOption = 8,
    max_tokens: TokensOption = 48,
    json_file: FileOption = None,
) -> None:
    """Take a plain and a speculative round of one row apart, and time rounds without models, on one thread."""
    from dataclasses import replace

    from specsched.records import Sampling

    found = members(pool)
    found = replace(
        found,
        target=replace(found.target, dtype="float32", quantization=quantization),
        drafts=tuple(spec for spec in found.drafts if spec.id == draft),
    )
    measure = partial(measure_round, found, draft, gamma, Sampling(temperature=temperature), prompts, max_tokens)
    print_checks(run("round", measure, json_file, "specsched bench round").checks)


def measure_round(
    pool: "Pool", draft: str, gamma: int, sampling: "Sampling", prompts: int, max_tokens: int, say: "Progress"
) -> "Report":
    """Measure, and report."""
    from specsched.modelkit.report import Report

    parts = _parts(pool, draft, gamma, sampling, prompts, max_tokens, say)
    say("timing rounds without models")
    beside, checks = _beside(gamma)
    return Report({"round": parts, "overhead": beside}, checks)


def _parts(
    pool: "Pool", draft: str, gamma: int, sampling: "Sampling", prompts: int, max_tokens: int, say: "Progress"
) -> "Table":
    from dataclasses import replace

    import torch

    from specsched.bench.anatomy import dissect
    from specsched.bench.prompt_set import load_prompts
    from specsched.bench.reference import draw_questions, tokenizer_of
    from specsched.engine.load import load_engine
    from specsched.engine.profile import stopwatch_for
    from specsched.engine.settings import EngineSettings
    from specsched.modelkit.report import Table
    from specsched.policy.controller import PlannedController
    from specsched.records import Plan

    settings = EngineSettings(threads=1, rounds="host", profile_seconds=0)
    engine = load_engine(pool, settings, lambda _costs: PlannedController(), say)
    stopwatch = stopwatch_for(torch.device("cpu"))
    questions = draw_questions(tokenizer_of(pool), load_prompts(), prompts, _ROOM_TOKENS)
    plans = (Plan(), Plan(draft, gamma, gamma))
    jobs = [[replace(each.job(max_tokens), plan=plan, sampling=sampling) for each in questions] for plan in plans]
    for of_plan in jobs:
        dissect(engine, of_plan[:1], stopwatch)  # warm-up
    say("taking rounds apart")
    plain, speculative = (dissect(engine, of_plan, stopwatch) for of_plan in jobs)
    rows = [(part, 1e3 * plain.seconds[part], 1e3 * speculative.seconds[part]) for part in plain.seconds]
    rows.append(("whole", 1e3 * plain.whole_seconds, 1e3 * speculative.whole_seconds))
    rows.append(("tokens", plain.tokens, speculative.tokens))
    title = f"A round's parts in ms, {draft} γ={gamma}, one row, medians over rounds"
    return Table(title, ("part", "plain", "speculative"), rows)


def _beside(gamma: int) -> "tuple[Table, list[Check]]":
    """Time rounds whose models cost nothing."""
    import torch

    from specsched.bench.overhead import VOCAB_SIZE, round_overhead
    from specsched.engine.profile import stopwatch_for
    from specsched.modelkit.report import Check, Table
    from specsched.records import Sampling

    stopwatch = stopwatch_for(torch.device("cpu"))
    kinds = {"greedy": Sampling(temperature=0.0), "sampled": Sampling(), "seeded": Sampling(seed=0)}
    us = {
        (kind, rows, lookahead): 1e6 * round_overhead(rows, lookahead, sampling, stopwatch)
        for kind, sampling in kinds.items()
        for rows in _BATCHES
        for lookahead in (0, gamma)
    }
    lines = [(kind, rows, us[kind, rows, 0], us[kind, rows, gamma]) for kind in kinds for rows in _BATCHES]
    checks = [
        Check("round_overhead_us_1_row", us["greedy", 1, 0], 120, at_most=True),
        Check("round_overhead_us_8_rows", us["greedy", 8, 0], 300, at_most=True),
        Check("speculative_round_overhead_us_1_row", us["greedy", 1, gamma], 180, at_most=True),
        Check("speculative_round_overhead_us_8_rows", us["greedy", 8, gamma], 450, at_most=True),
    ]
    title = f"A round beside its models' forwards in µs, caches cold, γ={gamma}, vocabulary of {VOCAB_SIZE:,}"
    return Table(title, ("sampling", "rows", "plain", "speculative"), lines), checks
