"""Putting the parts together: configuration in, schedulers and engines out."""

import sys
from collections.abc import Callable
from pathlib import Path

from specsched.classify.base import Classifier
from specsched.classify.fake import FixedClassifier
from specsched.classify.linear import LinearClassifier
from specsched.config.tree import Config
from specsched.dispatch.base import Dispatcher
from specsched.engine.base import EngineCore
from specsched.errors import ConfigError
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import Policy, RoundController
from specsched.policy.controller import AdaptiveController, PlannedController
from specsched.policy.fixed import FixedPolicy, PlainPolicy
from specsched.policy.settings import PolicySettings
from specsched.pool.manifest import Pool, load_pool
from specsched.records import CostGrid
from specsched.scheduler.admission import Admission
from specsched.scheduler.reading import Reader
from specsched.scheduler.resume import ResumeLimits
from specsched.scheduler.scheduler import Parts, Scheduler
from specsched.text.tokenizer import Tokenizer


def make_scheduler(config: Config, manifest: Path, dispatcher: Dispatcher) -> Scheduler:
    """Build the scheduler of a service.

    Raises:
        PoolError, ConfigError: one line for the operator.
    """
    pool = load_pool(manifest)
    assert pool.target.path is not None, "a target has a folder"
    tokenizer = Tokenizer.load(pool.target.path)
    classifier = make_classifier(config, pool)
    return Scheduler(
        Parts(
            tokenizer=tokenizer,
            reader=Reader(tokenizer, classifier),
            policy=make_policy(config, pool, classifier),
            admission=Admission(config.admission.max_requests, config.admission.max_outstanding_tokens),
            dispatcher=dispatcher,
            resume_limits=ResumeLimits(config.workers.max_resumes, config.workers.start_timeout_seconds),
            config_sha=config.sha,
        )
    )


def make_classifier(config: Config, pool: Pool) -> Classifier:
    """Build the classifier: the pool's, or one that knows nothing."""
    if not config.classifier.enabled or pool.classifier is None:
        return FixedClassifier()
    return LinearClassifier.load(pool.classifier)


def make_policy(config: Config, pool: Pool, classifier: Classifier) -> Policy:
    """Build the policy that the configuration names."""
    section = config.policy
    if section.kind == "plain":
        return PlainPolicy()
    if section.kind == "fixed":
        known = [draft.id for draft in pool.drafts]
        if section.draft_model not in known:
            raise ConfigError(f"policy.draft_model: {section.draft_model!r} is none of {', '.join(known)}")
        return FixedPolicy(section.draft_model, section.gamma)
    return AdaptivePolicy(_settings(config), classifier.classes, section.seed)


def make_controller(config: Config) -> Callable[[CostGrid], RoundController]:
    """Return what builds a worker's round controller from its profiled costs."""
    if config.policy.kind == "adaptive":
        return lambda costs: AdaptiveController(_settings(config), costs, config.policy.seed)
    return lambda _costs: PlannedController()


def make_engine(
    config: Config, manifest: Path, worker_id: str, threads: int, progress: Callable[[str], None] = lambda _stage: None
) -> EngineCore:
    """Load a pool into an engine. Call it on the thread that will run the engine."""
    from specsched.engine.load import load_engine
    from specsched.engine.settings import EngineSettings

    section = config.workers
    settings = EngineSettings(
        worker_id=worker_id,
        max_rows=section.max_rows,
        kv_capacity_tokens=section.kv_capacity_tokens,
        prefill_chunk_tokens=section.prefill_chunk_tokens,
        threads=threads,
        profile_seconds=section.profile_seconds,
    )
    return load_engine(load_pool(manifest), settings, make_controller(config), progress)


def worker_command(config_file: Path | None, manifest: Path) -> Callable[[str, str], list[str]]:
    """Return what builds the command line of a worker of this service."""
    common = [sys.executable, "-m", "specsched", "worker", "--pool", str(manifest.resolve()), "--exit-with-parent"]
    if config_file is not None:
        common += ["--config", str(config_file.resolve())]
    return lambda worker_id, address: [*common, "--listen", address, "--id", worker_id]


def _settings(config: Config) -> PolicySettings:
    return PolicySettings(max_gamma=config.policy.max_gamma)
