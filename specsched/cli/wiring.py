"""Putting the parts together: configuration in, schedulers and engines out."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from specsched.classify.base import Classifier
from specsched.classify.corrections import CorrectedClassifier
from specsched.classify.fake import FixedClassifier
from specsched.classify.feedback import NullFeedback
from specsched.classify.linear import LinearClassifier
from specsched.cli.stores import arm_versions, make_store
from specsched.config.reload import refusal
from specsched.config.sections.policy import Policy as PolicySection
from specsched.config.tree import Config
from specsched.dispatch.base import Dispatcher
from specsched.engine.base import EngineCore
from specsched.errors import Violation
from specsched.policy.base import Policy, RoundController
from specsched.policy.kinds import KINDS, Choices
from specsched.policy.settings import PolicySettings
from specsched.policy.succession import Succession
from specsched.pool.manifest import Pool, load_pool, reread
from specsched.records import NO_DRAFT, AcceptanceRecord, CapturedCompletion, CostGrid
from specsched.scheduler.admission.admission import Admission
from specsched.scheduler.admission.limits import Limits
from specsched.scheduler.quarantine import Quarantine
from specsched.scheduler.reading import Reader
from specsched.scheduler.resume import ResumeLimits
from specsched.scheduler.scheduler import Parts, Scheduler
from specsched.scheduler.snapshot import Snapshot
from specsched.telemetry.base import Meter, NullMeter
from specsched.telemetry.metrics import SchedulerMetrics
from specsched.telemetry.sinks.base import NullSink, Sink
from specsched.telemetry.tracing.base import NullTracer, Tracer
from specsched.text.tokenizer import Tokenizer

log = structlog.get_logger()


def make_scheduler(
    config: Config,
    manifest: Path,
    dispatcher: Dispatcher,
    registry: CollectorRegistry | None = None,
    sink: Sink[AcceptanceRecord] | None = None,
    tracer: Tracer | None = None,
    capture: Sink[CapturedCompletion] | None = None,
) -> Scheduler:
    """Build the scheduler of a service.

    Args:
        config: Of the service.
        manifest: Of the pool.
        dispatcher: Reaches its workers.
        registry: Takes the scheduler's metrics; None keeps none.
        sink: Takes the acceptance records; None keeps none.
        tracer: Traces requests; None traces none.
        capture: Takes the text of requests; None keeps none.

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
            snapshot=make_snapshot(config, pool, classifier.classes),
            admission=Admission(make_limits(config)),
            dispatcher=dispatcher,
            quarantine=Quarantine(config.workers.quarantine_seconds),
            resume_limits=ResumeLimits(config.workers.max_resumes, config.workers.start_timeout_seconds),
            meter=NullMeter() if registry is None else _metrics(config, pool, classifier, registry),
            sink=NullSink() if sink is None else sink,
            capture=NullSink() if capture is None else capture,
            tracer=tracer or NullTracer(),
            store=make_store(config, pool, classifier),
            feedback=classifier if isinstance(classifier, CorrectedClassifier) else NullFeedback(),
        )
    )


def _metrics(config: Config, pool: Pool, classifier: Classifier, registry: CollectorRegistry) -> Meter:
    drafts = [draft.id for draft in pool.drafts]
    workers = config.workers.addresses or [f"worker-{number}" for number in range(config.workers.count)]
    max_gamma = max(config.policy.max_gamma, config.policy.gamma)
    return SchedulerMetrics(registry, drafts, classifier.classes, max_gamma, workers, config.telemetry.max_tenants)


def make_limits(config: Config) -> Limits:
    """Return what admission is bounded by."""
    section = config.admission
    return Limits(
        section.max_requests, section.max_outstanding_tokens, section.tenant_weights, section.priority_seconds
    )


def make_classifier(config: Config, pool: Pool) -> Classifier:
    """Build the classifier: the pool's, or one that knows nothing."""
    if not config.classifier.enabled or pool.classifier is None:
        return FixedClassifier()
    loaded = LinearClassifier.load(pool.classifier.path, pool.classifier.sha256)
    return CorrectedClassifier(loaded) if config.classifier.online_correction else loaded


def make_snapshot(config: Config, pool: Pool, known_classes: tuple[str, ...]) -> Snapshot:
    """Check the policy that a configuration names against the pool, and build it.

    Args:
        config: Of the service.
        pool: That runs.
        known_classes: Of the classifier.

    Raises:
        ConfigError: every draft that is not in the pool, or not named where one is needed.
    """
    section = config.policy
    violations = list(_unfit(section, [draft.id for draft in pool.drafts]))
    if violations:
        raise refusal(violations)
    classes = section.prompt_classes or known_classes
    make_policy = partial(_policy, section, classes, pool)
    return Snapshot(
        policy=make_policy(),
        make_policy=make_policy,
        prompt_classes=classes,
        kind=section.kind,
        round_settings=section.model_dump_json(),
        disabled_drafts=frozenset(section.disabled_drafts),
        config_sha=config.sha,
    )


def _policy(section: PolicySection, classes: tuple[str, ...], pool: Pool) -> Policy:
    """Build a policy for the drafts as the manifest has them by now: one may have come in a new version."""
    choices = replace(_choices(section), versions=arm_versions(reread(pool)))
    return KINDS[section.kind].policy(choices, classes)


def make_controller(config: Config) -> Callable[[CostGrid], RoundController]:
    """Return what builds a worker's round controller from its profiled costs."""
    return lambda costs: Succession(lambda settings: _controller(_section_of(settings, config.policy), costs))


def _controller(section: PolicySection, costs: CostGrid) -> RoundController:
    return KINDS[section.kind].controller(_choices(section), costs)


def _section_of(settings: str, own: PolicySection) -> PolicySection:
    """Read the settings that came with a plan; a scheduler of another version may say what is unknown here."""
    try:
        return PolicySection.model_validate_json(settings) if settings else own
    except ValidationError as error:
        log.warning("round_settings_unreadable", errors=error.error_count())
        return own


def make_engine(
    config: Config, manifest: Path, worker_id: str, progress: Callable[[str], None] = lambda _stage: None
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
        prefix_cache_tokens=section.prefix_cache_tokens,
        device=section.device,
        kv_storage=section.kv_storage,
        rounds=section.rounds,
        memory_bytes=section.memory_bytes,
        synthetic_acceptance=section.synthetic_acceptance,
        threads=section.threads,
        profile_seconds=section.profile_seconds,
    )
    return load_engine(load_pool(manifest), settings, make_controller(config), progress)


def worker_command(config_file: Path | None, manifest: Path) -> Callable[[str, str], list[str]]:
    """Return what builds the command line of a worker of this service."""
    common = [sys.executable, "-m", "specsched", "worker", "--pool", str(manifest.resolve()), "--exit-with-parent"]
    if config_file is not None:
        common += ["--config", str(config_file.resolve())]
    return lambda worker_id, address: [*common, "--listen", address, "--id", worker_id]


def _choices(section: PolicySection) -> Choices:
    return Choices(
        PolicySettings(
            max_gamma=section.max_gamma,
            prior_strength=section.prior_strength_counts,
            forgetting=section.forgetting_factor,
            unknown_mean=section.unknown_acceptance_share,
            tenant_cap=section.tenant_evidence_counts,
            alarm_threshold=section.alarm_threshold_deviations,
            hindsight_share=section.hindsight_share,
            watchdog_ratio=section.watchdog_factor,
            exploration_share=section.max_exploration_share,
            exploration_burst=float(section.exploration_burst_decisions),
            reconsider_rounds=section.reconsider_rounds,
            slowdown=section.guard_slowdown_share,
            guard_start_tokens=section.guard_start_tokens,
            guard_cap_tokens=section.guard_cap_tokens,
        ),
        draft_model=section.draft_model or NO_DRAFT,
        gamma=section.gamma,
        batch_table=section.batch_table,
        seed=section.seed,
    )


def _unfit(section: PolicySection, known: list[str]) -> Iterator[Violation]:
    """What a policy names that the pool does not have."""
    named, pool = section.draft_model, ", ".join(known) or "no drafts"
    if KINDS[section.kind].needs_draft and named is None:
        yield Violation("policy.draft_model", f"kind {section.kind} needs one of {pool}")
    elif KINDS[section.kind].needs_draft and named not in known:
        yield Violation("policy.draft_model", f"{named!r} is none of {pool}")
    for draft in section.disabled_drafts:
        if draft not in known:
            yield Violation("policy.disabled_drafts", f"{draft!r} is none of {pool}")
