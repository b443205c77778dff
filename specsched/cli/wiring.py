"""Putting the parts together: configuration in, schedulers and engines out."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from specsched.classify.base import Classifier
from specsched.classify.fake import FixedClassifier
from specsched.classify.linear import LinearClassifier
from specsched.config.tree import Config
from specsched.dispatch.base import Dispatcher
from specsched.engine.base import EngineCore
from specsched.errors import ConfigError
from specsched.policy.base import Policy, RoundController
from specsched.policy.kinds import KINDS, Choices
from specsched.policy.memory import NullStore
from specsched.policy.settings import PolicySettings
from specsched.policy.sqlite import SqliteStore
from specsched.pool.manifest import Pool, load_pool
from specsched.records import NO_DRAFT, AcceptanceRecord, CostGrid
from specsched.scheduler.admission import Admission
from specsched.scheduler.reading import Reader
from specsched.scheduler.resume import ResumeLimits
from specsched.scheduler.scheduler import Parts, Scheduler
from specsched.telemetry.base import Meter, NullMeter
from specsched.telemetry.metrics import SchedulerMetrics
from specsched.telemetry.sinks.base import NullSink, Sink
from specsched.text.tokenizer import Tokenizer


def make_scheduler(
    config: Config,
    manifest: Path,
    dispatcher: Dispatcher,
    registry: CollectorRegistry | None = None,
    sink: Sink[AcceptanceRecord] | None = None,
) -> Scheduler:
    """Build the scheduler of a service.

    Args:
        config: Of the service.
        manifest: Of the pool.
        dispatcher: Reaches its workers.
        registry: Takes the scheduler's metrics; None keeps none.
        sink: Takes the acceptance records; None keeps none.

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
            meter=NullMeter() if registry is None else _metrics(config, pool, classifier, registry),
            sink=NullSink() if sink is None else sink,
            store=SqliteStore(Path(config.store.path)) if config.store.path else NullStore(),
            config_sha=config.sha,
        )
    )


def _metrics(config: Config, pool: Pool, classifier: Classifier, registry: CollectorRegistry) -> Meter:
    drafts = [draft.id for draft in pool.drafts]
    workers = config.workers.addresses or [f"worker-{number}" for number in range(config.workers.count)]
    max_gamma = max(config.policy.max_gamma, config.policy.gamma)
    return SchedulerMetrics(registry, drafts, classifier.classes, max_gamma, workers, config.telemetry.max_tenants)


def make_classifier(config: Config, pool: Pool) -> Classifier:
    """Build the classifier: the pool's, or one that knows nothing."""
    if not config.classifier.enabled or pool.classifier is None:
        return FixedClassifier()
    return LinearClassifier.load(pool.classifier)


def make_policy(config: Config, pool: Pool, classifier: Classifier) -> Policy:
    """Build the policy that the configuration names.

    Raises:
        ConfigError: its draft is not named, or not in the pool.
    """
    kind = KINDS[config.policy.kind]
    if kind.needs_draft:
        _check_draft(config, [draft.id for draft in pool.drafts])
    versions = {draft.id: draft.sha256 or "" for draft in pool.drafts}
    return kind.policy(replace(_choices(config), versions=versions), classifier.classes)


def make_controller(config: Config) -> Callable[[CostGrid], RoundController]:
    """Return what builds a worker's round controller from its profiled costs."""
    return partial(KINDS[config.policy.kind].controller, _choices(config))


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


def _choices(config: Config) -> Choices:
    section = config.policy
    return Choices(
        PolicySettings(max_gamma=section.max_gamma),
        draft_model=section.draft_model or NO_DRAFT,
        gamma=section.gamma,
        batch_table=section.batch_table,
        seed=section.seed,
    )


def _check_draft(config: Config, known: list[str]) -> None:
    section = config.policy
    if section.draft_model is None:
        raise ConfigError(f"policy.draft_model: kind {section.kind} needs one of {', '.join(known)}")
    if section.draft_model not in known:
        raise ConfigError(f"policy.draft_model: {section.draft_model!r} is none of {', '.join(known)}")
