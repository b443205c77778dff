"""From a manifest and prompts to an evaluation: load, profile, measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from specsched.engine.model import LanguageModel as EngineModel
from specsched.engine.profile import Profiler
from specsched.engine.proposers.base import Proposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.modelkit.evaluate import Evaluation, Say, evaluate
from specsched.modelkit.generation import GenerationSettings
from specsched.modelkit.goodput import RoundCosts, round_costs
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.prompts import both_temperatures, draw_samples, load_prompts
from specsched.pool.compatibility import check_vocabulary
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


def evaluate_pool(pool: Pool, job: EvaluationJob, say: Say = lambda _: None) -> Evaluation:
    """Load every model of a pool and evaluate it.

    Raises:
        SetupError: a model or prompts that cannot be used.
    """
    say(f"loading {pool.target.id}")
    verify_weights(pool.target)
    assert pool.target.path is not None, "targets have a path"
    target = load_language_model(pool.target.path)
    drafts = {spec.id: _load(pool, spec.id, spec.path, say) for spec in pool.drafts if spec.kind != "none"}
    longest = min(job.max_prompt_tokens, target.context_tokens - job.max_new_tokens)
    prompts = load_prompts(job.prompts, job.split)
    drawn = draw_samples(target, prompts, job.per_class, (0.0,), max_prompt_tokens=longest, seed=job.seed)
    settings = GenerationSettings(max_new_tokens=job.max_new_tokens, rows=32, seed=job.seed)
    say("profiling")
    costs = profile(pool, drafts)
    return evaluate(target, drafts, both_temperatures(drawn, TEMPERATURES), costs, settings, say)


def _load(pool: Pool, name: str, path: Path | None, say: Say) -> LanguageModel | None:
    if path is None:
        return None
    say(f"loading {name}")
    verify_weights(next(spec for spec in pool.drafts if spec.id == name))
    assert pool.target.path is not None, "targets have a path"
    check_vocabulary(pool.target.path, path)
    return load_language_model(path)


def profile(pool: Pool, drafts: dict[str, LanguageModel | None], seconds: float = PROFILE_SECONDS) -> RoundCosts:
    """Step costs of a lone row on this machine, by the engine's own profiler.

    The engine gets networks of its own: it changes their attention.
    """
    assert pool.target.path is not None, "targets have a path"
    target = EngineModel(load_language_model(pool.target.path).network, pool.target.id, max_rows=1)
    proposers = {name: _proposer(name, draft, target.vocab_size) for name, draft in drafts.items()}
    return round_costs(Profiler(target, proposers, max_rows=1, seconds=seconds).grid())


def _proposer(name: str, draft: LanguageModel | None, vocab_size: int) -> Proposer:
    if draft is None:
        return NgramProposer(name)
    network = load_language_model(draft.path).network
    return DraftModelProposer(name, EngineModel(network, name, max_rows=1, vocab_size=vocab_size))


def homes_of(pool: Pool, classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Specialists by name: a draft called like a class is at home there; the first draft is the general one."""
    ids = [spec.id for spec in pool.drafts if spec.kind == "model"]
    general = next((name for name in ids if name not in classes), None)
    return {name: (name, general) for name in ids if name in classes and general is not None}
