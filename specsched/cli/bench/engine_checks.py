"""The numbers that are asked of the engine, each as a check with its bar."""

from typing import TYPE_CHECKING

from specsched.cli.bench.contest import FP32, INT8, ROWS, load_contender

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specsched.bench.engine.tournament import Match, Result
    from specsched.bench.reference import Question
    from specsched.cli.bench.contest import Loaded, Places
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check
    from specsched.pool.manifest import Pool

THEIRS = "transformers"
_COPYING = 8
"""Prompts that copy: half to choose a mode on, half to report on."""


def plain_checks(results: "Sequence[Result]", int8: "Loaded") -> "list[Check]":
    """Plain decoding in both precisions × transformers', and what verifying costs in INT8."""
    from specsched.bench.engine.costs import verify_ratio
    from specsched.bench.engine.tournament import plain_over
    from specsched.modelkit.report import Check

    return [
        Check("plain_over_transformers_plain", plain_over(results, FP32, THEIRS), 1.2),
        Check("verify_cost_8_over_1", verify_ratio(int8.engine.describe()), 1.35, at_most=True),
        Check("int8_plain_over_transformers_plain", plain_over(results, INT8, THEIRS), 1.5),
    ]


def speculation_checks(results: "Sequence[Result]") -> "list[Check]":
    """Best fixed speculation × plain decoding, in both precisions, with and without looping outputs."""
    from statistics import fmean

    from specsched.bench.engine.tournament import without_loops
    from specsched.modelkit.report import Check

    return [
        mean_check(results, INT8, "speculation_over_plain_mean"),
        mean_check(without_loops(results, INT8), INT8, "speculation_over_plain_mean_without_loops"),
        mean_check(results, FP32, "fp32_speculation_over_plain_mean"),
        Check("fp32_speculative_tokens_equal", fmean(float(result.identical(FP32)) for result in results), 1.0),
    ]


def mean_check(results: "Sequence[Result]", contender: str, name: str) -> "Check":
    """Best fixed speculation × plain decoding, mean over classes."""
    from statistics import fmean

    from specsched.modelkit.report import Check

    return Check(name, fmean(result.over_plain(contender) for result in results) if results else 0.0, 1.6)


def their_checks(results: "Sequence[Result]") -> "list[Check]":
    """Ours × transformers, each in its faster mode, plain included; fp32 has the same tokens, INT8 others."""
    from specsched.bench.engine.tournament import mean_over
    from specsched.modelkit.report import Check

    return [
        Check("over_transformers_best", mean_over(results, FP32, THEIRS), 2.0),
        Check("int8_over_transformers_best", mean_over(results, INT8, THEIRS), 2.0),
    ]


def concurrency_check(int8: "Loaded", questions: "Mapping[str, Sequence[Question]]", match: "Match") -> "Check":
    """As many requests at once as there are rows × one after the other."""
    from specsched.bench.engine.batches import concurrency
    from specsched.modelkit.report import Check

    asked = [question for each in questions.values() for question in each][:ROWS]
    return Check(
        "concurrency_8_over_1", concurrency(int8.engine, asked, match.max_tokens, match.repeats, int8.clock), 3.0
    )


def copying_check_of_pool(pool: "Pool", int8: "Loaded", match: "Match", places: "Places", say: "Progress") -> "Check":
    """Where the target's output copies; with synthetic acceptance where this target never does."""
    from specsched.bench.engine.questions import copying_questions
    from specsched.bench.engine.random_target import COPYING_RATES

    found = copying_questions(int8.contender, pool, _COPYING, match.max_tokens)
    if len(found) >= _COPYING // 2:
        return copying_check(int8, found, match)
    say("copying, synthetic: this target does not copy")
    asked = copying_questions(int8.contender, pool, _COPYING, match.max_tokens, share=0.0)
    return copying_check(load_contender(pool, INT8, places, say, COPYING_RATES), asked, match)


def copying_check(loaded: "Loaded", asked: "Sequence[Question]", match: "Match") -> "Check":
    """Best fixed speculation × plain decoding on these prompts, the mode chosen on the first half of them."""
    from specsched.bench.engine.tournament import play_classes
    from specsched.modelkit.report import Check

    (result,) = play_classes([loaded.contender], {"copying": asked}, match)
    return Check("speculation_over_plain_copying", result.over_plain(loaded.contender.name), 2.5)
