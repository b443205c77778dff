"""From a manifest and prompts to an evaluation: load, profile, measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from specsched.engine.engine import Engine
from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.modelkit.evaluate import Evaluation, Say, evaluate
from specsched.modelkit.generation import GenerationSettings
from specsched.modelkit.goodput import headroom, round_costs
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.measure import PinnedController, SpeedUp, measure
from specsched.modelkit.prompts import both_temperatures, draw_samples, load_prompts
from specsched.pool.manifest import Pool
from specsched.pool.weights import verify_weights

TEMPERATURES = (0.0, 0.8)
PROFILE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """One run of `models evaluate`."""

    prompts: Path
    per_class: int = 40
    max_new_tokens: int = 128
    seed: int = 0
    max_prompt_tokens: int = 1_024
    split: str = "valid"
    measured: int = 0
    """Prompts per class on which the best arm is run against plain decoding."""


@dataclass(frozen=True, slots=True)
class PoolEvaluation:
    """What evaluating a pool gives."""

    evaluation: Evaluation
    speedups: Mapping[str, SpeedUp]
    """Class → measured; empty when nothing was measured."""


def evaluate_pool(pool: Pool, job: EvaluationJob, say: Say = lambda _: None) -> PoolEvaluation:
    """Load every model of a pool and evaluate it.

    Raises:
        SetupError: a model or prompts that cannot be used.
    """
    for spec in (pool.target, *pool.drafts):
        if spec.path is not None:
            verify_weights(spec)
    controller = PinnedController()
    settings = EngineSettings(max_rows=1, profile_seconds=PROFILE_SECONDS)
    engine = load_engine(pool, settings, lambda _costs: controller, say)
    costs = round_costs(engine.describe().costs)
    assert pool.target.path is not None, "targets have a path"
    target = load_language_model(pool.target.path)
    drafts = {spec.id: _draft(spec.path) for spec in pool.drafts if spec.kind != "none"}
    longest = min(job.max_prompt_tokens, target.context_tokens - job.max_new_tokens)
    prompts = load_prompts(job.prompts, job.split)
    drawn = draw_samples(target, prompts, job.per_class, (0.0,), max_prompt_tokens=longest, seed=job.seed)
    generation = GenerationSettings(max_new_tokens=job.max_new_tokens, rows=32, seed=job.seed)
    found = evaluate(target, drafts, both_temperatures(drawn, TEMPERATURES), costs, generation, say)
    return PoolEvaluation(found, _measure(engine, controller, found, job.measured, say))


def _draft(path: Path | None) -> LanguageModel | None:
    return None if path is None else load_language_model(path)


def _measure(
    engine: Engine, controller: PinnedController, evaluation: Evaluation, prompts: int, say: Say
) -> dict[str, SpeedUp]:
    """The arm that is best in prediction, on greedy outputs that do not loop where there are such."""
    if prompts == 0:
        return {}
    say("measuring")
    sober = evaluation.without_loops()
    arms = headroom(sober.goodputs(0.0)).arms
    return measure(engine, controller, arms, {name: sober.cells[name, 0.0].traces[:prompts] for name in arms})


def homes_of(pool: Pool, classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Specialists by name: a draft called like a class is at home there; the first draft is the general one."""
    ids = [spec.id for spec in pool.drafts if spec.kind == "model"]
    general = next((name for name in ids if name not in classes), None)
    return {name: (name, general) for name in ids if name in classes and general is not None}
