"""From a manifest and prompts to an evaluation: load, profile, measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from specsched.engine.engine import Engine
from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.modelkit.evaluate import Evaluation, Say, evaluate
from specsched.modelkit.generation import GenerationSettings
from specsched.modelkit.goodput import headroom, round_costs
from specsched.modelkit.held_out import held_out_losses
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.measure import PinnedController, SpeedUp, measure
from specsched.modelkit.prompts import both_temperatures, draw_samples, load_prompts
from specsched.modelkit.tokens import load_documents
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
    corpus: Path | None = None
    """For held-out losses: `<class>/valid.jsonl[.zst]`."""
    measured: int = 0
    """Prompts per class on which the best arm is run against plain decoding."""


@dataclass(frozen=True, slots=True)
class PoolEvaluation:
    """What evaluating a pool gives."""

    evaluation: Evaluation
    speedups: Mapping[str, SpeedUp]
    """Class → measured; empty when nothing was measured."""
    losses: Mapping[str, Mapping[str, float]]
    """Model → class → held-out loss; empty when no corpus was given."""


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
    drafts = {spec.id: _draft(spec.path) for spec in pool.drafts if spec.kind != "none" and spec.single}
    longest = min(job.max_prompt_tokens, target.context_tokens - job.max_new_tokens)
    prompts = load_prompts(job.prompts, job.split)
    drawn = draw_samples(target, prompts, job.per_class, (0.0,), max_prompt_tokens=longest, seed=job.seed)
    generation = GenerationSettings(max_new_tokens=job.max_new_tokens, rows=32, seed=job.seed)
    found = evaluate(target, drafts, both_temperatures(drawn, TEMPERATURES), costs, generation, say)
    speedups = _measure(engine, controller, found, job.measured, say)
    return PoolEvaluation(found, speedups, _losses(job, {pool.target.id: target, **drafts}, say))


def _draft(path: Path | None) -> LanguageModel | None:
    return None if path is None else load_language_model(path)


def _losses(job: EvaluationJob, models: Mapping[str, LanguageModel | None], say: Say) -> dict[str, dict[str, float]]:
    if job.corpus is None:
        return {}
    say("held-out losses")
    with TemporaryDirectory() as folder:
        real = {name: model for name, model in models.items() if model is not None}
        tokenizer = next(iter(real.values())).path / "tokenizer.json"
        valid = load_documents(job.corpus, "valid", tokenizer, Path(folder))
        return {name: held_out_losses(model, valid) for name, model in real.items()}


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
