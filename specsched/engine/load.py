"""From a pool's manifest to an engine that can run."""

from collections.abc import Callable

import structlog
import transformers

from specsched.engine.draft_source import DraftSource, Progress
from specsched.engine.engine import Engine
from specsched.engine.identity import model_info, numerics_id
from specsched.engine.memory import check_target_fits, needed_bytes
from specsched.engine.network import eos_token_ids, load_network
from specsched.engine.placement import Placement
from specsched.engine.profile import Profiler
from specsched.engine.settings import EngineSettings
from specsched.engine.synthetic import last_word
from specsched.engine.threads import settle_threads
from specsched.policy.base import RoundController
from specsched.pool.manifest import Pool
from specsched.pool.weights import verify_weights
from specsched.records import SYNTHETIC_PREFIX, CostGrid, WorkerInfo

__all__ = ["Progress", "load_engine"]

log = structlog.get_logger()


def load_engine(
    pool: Pool,
    settings: EngineSettings,
    make_controller: Callable[[CostGrid], RoundController],
    progress: Progress = lambda _stage: None,
) -> Engine:
    """Load target and drafts, profile them, and put an engine around them.

    Args:
        pool: The manifest.
        settings: Limits and threads.
        make_controller: Given the profiled costs.
        progress: Told what is loaded next.

    Raises:
        PoolError: a model cannot be read, run or paired with the target; one line that names it.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    progress(f"loading target {pool.target.id}")
    weights = verify_weights(pool.target)
    needed = needed_bytes(pool.target, weights, settings.kv_capacity_tokens)
    check_target_fits(pool.target, needed, settings.memory_bytes)
    placement = Placement.of(settings)
    network = load_network(pool.target, placement.device)
    target = placement.model(network, pool.target.id)
    settle_threads(settings.threads, target, settings.max_rows)
    source = DraftSource(pool, placement, target.vocab_size)
    drafts = source.all_that_fit(settings.memory_bytes - needed, progress)
    rounds = placement.style.rounds(target, drafts.proposers, last_word(settings.synthetic_acceptance))
    progress("profiling")
    seconds = settings.profile_seconds

    def profiler() -> Profiler:
        return Profiler(target, drafts.proposers, rounds, max_rows=settings.max_rows, seconds=seconds)

    costs = profiler().grid()
    numerics = numerics_id(pool.target, target, weights, placement.style.name)
    info = WorkerInfo(
        worker_id=settings.worker_id,
        target=model_info(pool.target, "target", target, weights),
        drafts=drafts.infos(),
        vocab_size=target.vocab_size,
        max_context_tokens=target.max_context_tokens,
        max_rows=settings.max_rows,
        kv_capacity_tokens=settings.kv_capacity_tokens,
        eos_token_ids=eos_token_ids(network),
        numerics_id=_marked(numerics, settings),
        costs=costs,
    )
    return Engine(
        info,
        target,
        drafts,
        make_controller(costs),
        settings,
        rounds=rounds,
        measure=lambda version, halt: profiler().regrid(version, halt),
    )


def _marked(name: str, settings: EngineSettings) -> str:
    """Say in its name that a worker's output is invalid, where it is."""
    if not settings.synthetic_acceptance:
        return name
    log.warning("synthetic_acceptance", rates=settings.synthetic_acceptance, output="invalid, for load tests only")
    return SYNTHETIC_PREFIX + name
