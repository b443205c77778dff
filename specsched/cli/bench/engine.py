"""`specsched bench engine`: plain and speculative decoding of the pool, in fp32 and INT8, against transformers."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.running import FileOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specsched.bench.engine import ClassSpeed, EngineJob
    from specsched.bench.plain import Contender
    from specsched.bench.reference import Question
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Value
    from specsched.pool.manifest import Pool

_PROFILE_SECONDS = 4.0
_ROWS = 8


@one_line_errors
def engine(
    pool: PoolOption = None,
    per_class: Annotated[int, typer.Option(min=1, help="Prompts a class to choose an arm on, and to report on.")] = 2,
    max_tokens: TokensOption = 64,
    repeats: Annotated[int, typer.Option(min=1, help="ABBA rounds.")] = 3,
    json_file: FileOption = None,
) -> None:
    """Time plain and the best fixed speculation per class, in fp32 and INT8, one row and eight."""
    from specsched.bench.engine import EngineJob

    job = EngineJob(per_class, max_tokens, repeats)
    report = run("engine", partial(measure_engine, members(pool), job), json_file, "specsched bench engine")
    print_checks(report.checks)


def measure_engine(pool: "Pool", job: "EngineJob", say: "Progress") -> "Report":
    """Measure the target in both precisions, and report."""
    from dataclasses import replace

    from specsched.bench.engine import questions_by_class
    from specsched.bench.plain import TransformersContender
    from specsched.bench.reference import load_reference
    from specsched.modelkit.report import Report, Table

    fp32 = replace(pool.target, dtype="float32", quantization="none")
    theirs = TransformersContender(load_reference(fp32))
    questions = questions_by_class(pool, job)
    rows: list[Sequence[Value]] = []
    checks: list[Check] = []
    for quantization in ("none", "int8"):
        of_target = replace(pool, target=replace(fp32, quantization=quantization))
        speeds, found = _one_precision(of_target, questions, job, theirs, say)
        checks += found
        rows += [_row(quantization, speed) for speed in speeds]
    columns = ("quantization", "class", "draft", "gamma", "same", "plain_tok_s", "best_tok_s", "over_plain")
    table = Table("Best fixed speculation against plain, tokens/s, one row, arm chosen on other prompts", columns, rows)
    return Report({"engine": table}, checks)


def _one_precision(
    pool: "Pool", questions: "Mapping[str, list[Question]]", job: "EngineJob", theirs: "Contender", say: "Progress"
) -> "tuple[list[ClassSpeed], list[Check]]":
    from statistics import fmean

    from specsched.bench.engine import class_speeds, concurrency, plain_ratio, verify_ratio
    from specsched.bench.plain import EngineContender
    from specsched.engine.load import load_engine
    from specsched.engine.settings import EngineSettings
    from specsched.modelkit.report import Check
    from specsched.policy.controller import PlannedController

    settings = EngineSettings(max_rows=_ROWS, profile_seconds=_PROFILE_SECONDS)
    ours = load_engine(pool, settings, lambda _costs: PlannedController(), say)
    flat = [question for asked in questions.values() for question in asked[:1]]
    speeds = class_speeds(ours, questions, job, say)
    plain = plain_ratio(EngineContender(ours), theirs, flat, job)
    many = concurrency(ours, flat[:_ROWS], job)
    mean = fmean(speed.over_plain for speed in speeds)
    same = fmean(float(speed.same) for speed in speeds)
    if pool.target.quantization == "none":
        return speeds, [
            Check("plain_over_transformers_plain", plain, 1.2),
            Check("fp32_speculation_over_plain_mean", mean, 1.0),
            Check("fp32_speculative_tokens_equal", same, 1.0),
        ]
    return speeds, [
        Check("int8_plain_over_transformers_plain", plain, 1.5),
        Check("verify_cost_8_over_1", verify_ratio(ours.describe()), 1.35, at_most=True),
        Check("speculation_over_plain_mean", mean, 1.6),
        Check("concurrency_8_over_1", many, 3.0),
    ]


def _row(quantization: str, speed: "ClassSpeed") -> "tuple[Value, ...]":
    return (
        quantization,
        speed.prompt_class,
        speed.draft_model,
        speed.gamma,
        "yes" if speed.same else "no",
        speed.plain_tokens_per_second,
        speed.tokens_per_second,
        speed.over_plain,
    )
