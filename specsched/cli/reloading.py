"""Which parts of a service take new settings while it runs, and what each makes of them."""

from dataclasses import replace
from functools import partial

from specsched.cli.wiring import make_limits, make_snapshot
from specsched.config.reload import Commit, Part
from specsched.config.tree import Config
from specsched.pool.manifest import Pool
from specsched.scheduler.scheduler import Scheduler
from specsched.scheduler.snapshot import Snapshot
from specsched.telemetry.logging import configure_logging


def live_parts(scheduler: Scheduler, pool: Pool, config: Config) -> tuple[Part, ...]:
    """Every part of a service that a reload reaches.

    Args:
        scheduler: Takes policy and admission.
        pool: That runs; what a configuration names is checked against it.
        config: That the service was started with.
    """
    return (_policy(scheduler, pool), _admission(scheduler), _LogLevel(config.log.level))


def _policy(scheduler: Scheduler, pool: Pool) -> Part:
    def prepare(config: Config) -> Commit:
        return partial(_adopt, scheduler, make_snapshot(config, pool, scheduler.known_classes))

    return prepare


def _adopt(scheduler: Scheduler, wanted: Snapshot) -> None:
    """A policy whose settings stay goes on: it knows more than its evidence, and its draws do not begin again."""
    now = scheduler.steering.snapshot
    same = wanted.round_settings == now.round_settings
    scheduler.steering.adopt(replace(wanted, policy=now.policy) if same else wanted)


def _admission(scheduler: Scheduler) -> Part:
    def prepare(config: Config) -> Commit:
        return partial(scheduler.limit, make_limits(config))

    return prepare


class _LogLevel:
    """Sets logging up again where its level differs."""

    def __init__(self, level: str) -> None:
        self._level = level

    def __call__(self, config: Config) -> Commit:
        return partial(self._set, config)

    def _set(self, config: Config) -> None:
        if config.log.level != self._level:
            self._level = config.log.level
            configure_logging(config.log.level, config.log.format)
