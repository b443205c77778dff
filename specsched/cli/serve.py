"""`specsched serve` and `specsched worker`: the two processes."""

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from specsched.cli.environment import apply, compute_environment
from specsched.cli.options import ConfigOption, ListenOption, LogOption, PoolOption, configuration, manifest_of, source
from specsched.cli.output import one_line_errors
from specsched.config.tree import Config
from specsched.errors import AddressInUse, ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping

    from google.protobuf.descriptor import ServiceDescriptor
    from prometheus_client import CollectorRegistry

    from specsched.cli.security import Security
    from specsched.config.load import Source
    from specsched.dispatch.grpc import GrpcDispatcher
    from specsched.engine.base import EngineCore
    from specsched.wire.rpc import CallObserver
    from specsched.wire.serving import GrpcServer
    from specsched.worker.launcher import Launcher

log = structlog.get_logger()


@one_line_errors
def serve(
    config: ConfigOption = None, pool: PoolOption = None, listen: ListenOption = None, log_level: LogOption = None
) -> None:
    """Run the service: a scheduler and its workers, until Ctrl-C or SIGTERM."""
    from prometheus_client import disable_created_metrics

    from specsched.telemetry.logging import configure_logging

    origin = source(config, pool=pool, address=listen, log_level=log_level)
    settings = origin.read()
    configure_logging(settings.log.level, settings.log.format)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a time of creation per series doubles a scrape
    asyncio.run(_serve(settings, origin))


async def _serve(config: Config, origin: "Source") -> None:
    from prometheus_client import CollectorRegistry

    from specsched.cli.reloading import live_parts
    from specsched.cli.security import security_of
    from specsched.cli.telling import telling
    from specsched.cli.wiring import make_scheduler
    from specsched.config.reload import Reloader
    from specsched.dispatch.grpc import GrpcDispatcher
    from specsched.dispatch.patience import Patience
    from specsched.pool.manifest import load_pool
    from specsched.scheduler.control import Control
    from specsched.server.admin import AdminServicer
    from specsched.server.process import ADMIN, METHODS, TELEMETRY, run_server
    from specsched.server.reloads import reloads
    from specsched.server.telemetry import TelemetryServicer
    from specsched.telemetry.service_metrics import CallMetrics, ConfigMetrics
    from specsched.wire.garbage import spare_what_is_loaded
    from specsched.wire.rotation import rotating
    from specsched.wire.rpc import CODES

    security, manifest = security_of(config), manifest_of(config)
    section = config.workers
    outage = section.keepalive_seconds if section.addresses else section.start_timeout_seconds
    patience = Patience(section.keepalive_seconds, section.round_timeout_seconds, outage)
    registry, dispatcher = CollectorRegistry(), GrpcDispatcher(security.worker_certificates, patience)
    configs, calls = ConfigMetrics(registry, config.sha), CallMetrics(registry, METHODS, CODES)
    async with AsyncExitStack() as stack:
        server = _public_server(config, security)
        await stack.enter_async_context(rotating(security.rotations))
        pool = load_pool(manifest)  # before any worker starts: a bad pool ends it here
        told = await stack.enter_async_context(telling(config.telemetry, pool.target.id, registry))
        scheduler = make_scheduler(config, manifest, dispatcher, registry, told.records, told.tracer, told.capture)
        reloaded = live_parts(scheduler, pool, config)
        reloader = Reloader(origin, config, reloaded, configs.reloaded, beside=security.rotations)
        admin = AdminServicer(reloader, Control(scheduler, [draft.id for draft in pool.drafts]))
        servicers = {ADMIN: admin, TELEMETRY: TelemetryServicer(told.live)}
        beside = _operators_server(config, security, servicers, calls.ended)
        await scheduler.steering.switch()  # what the configuration disables stands before a worker is ready
        failed = await stack.enter_async_context(_workers(config, dispatcher, registry))
        await stack.enter_async_context(reloads(reloader, origin.path if config.admin.watch_config else None))
        drain = config.server.drain_seconds
        spare_what_is_loaded()
        await run_server(
            server, scheduler, dispatcher, drain_seconds=drain, failed=failed, observe=calls.ended, beside=beside
        )


def _public_server(config: Config, security: "Security") -> "GrpcServer":
    """Bind the port that callers reach."""
    from specsched.wire.serving import GrpcServer

    return GrpcServer(
        config.server.address,
        max_message_bytes=config.server.max_message_bytes,
        reflect=config.server.reflection,
        guard=security.guard,
        certificates=security.certificates,
        keepalive_seconds=config.server.keepalive_seconds,
    )


def _operators_server(
    config: Config, security: "Security", servicers: "Mapping[ServiceDescriptor, object]", observe: "CallObserver"
) -> "list[GrpcServer]":
    """Bind the operators' port and mount their services; none where the configuration says so."""
    from specsched.telemetry.audit import AuditLog
    from specsched.wire.rpc import Observed
    from specsched.wire.serving import GrpcServer

    if config.admin.address is None:
        return []
    try:
        server = GrpcServer(
            config.admin.address,
            max_message_bytes=config.server.max_message_bytes,
            reflect=config.server.reflection,
            guard=security.guard,
            certificates=security.certificates,
            keepalive_seconds=config.server.keepalive_seconds,
        )
    except (ConfigError, AddressInUse) as error:
        raise type(error)(f"admin.address: {error}") from error
    log.info("operators_listening", address=server.address)
    for service, servicer in servicers.items():
        audit = AuditLog(config.admin.audit_file) if service.name == "AdminService" else None
        server.add(service, Observed(servicer, observe, audit))
    return [server]


@contextmanager
def _kept(config: Config) -> "Iterator[Path]":
    """Write down what the service started with: a worker that starts again must not meet a file that was changed."""
    from specsched.config.changes import as_yaml, shown
    from specsched.worker.run_folder import RunFolder

    with RunFolder() as folder:  # nobody else may enter it
        file = folder / "specsched.yaml"
        file.write_text(as_yaml(shown(config)), encoding="utf-8")
        yield file


@asynccontextmanager
async def _workers(
    config: Config, dispatcher: "GrpcDispatcher", registry: "CollectorRegistry"
) -> "AsyncGenerator[Callable[[], Awaitable[None]]]":
    """Reach the workers that run already, or start some; yields what raises when they can never be started."""
    from specsched.telemetry.service_metrics import WorkerMetrics

    if names := {address: address for address in config.workers.addresses}:
        async with dispatcher.connect(tuple(names), (WorkerMetrics(registry, names).changed,)):
            yield _never
        return
    with _kept(config) as kept:
        async with _launcher(config, kept, registry) as launcher:
            observers = (WorkerMetrics(registry, launcher.names).changed, launcher.changed)
            async with dispatcher.connect(launcher.addresses, observers, launcher.unresponsive):
                yield launcher.failed


def _launcher(config: Config, config_file: Path, registry: "CollectorRegistry") -> "Launcher":
    """Make what keeps this host's workers alive."""
    from specsched.cli.wiring import worker_command
    from specsched.telemetry.service_metrics import RestartMetrics
    from specsched.worker.backoff import Backoff
    from specsched.worker.keeper import REASONS
    from specsched.worker.launcher import Launcher

    section = config.workers
    return Launcher(
        section.count,
        worker_command(config_file, manifest_of(config)),
        {**os.environ, **compute_environment(section.threads, section.count)},
        Backoff(section.restart_backoff_seconds, section.restart_backoff_max_seconds),
        RestartMetrics(registry, REASONS).restarted,
        section.start_timeout_seconds,
    )


async def _never() -> None:
    await asyncio.Event().wait()


@one_line_errors
def worker(
    listen: Annotated[str, typer.Option("--listen", help="host:port or unix:PATH.")],
    config: ConfigOption = None,
    pool: PoolOption = None,
    worker_id: Annotated[str, typer.Option("--id", help="Its name in logs and metrics.")] = "worker-0",
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="End when standard input closes.", hidden=True)
    ] = False,
    log_level: LogOption = None,
) -> None:
    """Run one worker by itself, until Ctrl-C or SIGTERM."""
    settings = configuration(config, pool=pool, log_level=log_level)
    apply(compute_environment(settings.workers.threads))
    from specsched.cli.security import worker_certificates
    from specsched.cli.wiring import make_engine
    from specsched.telemetry.logging import configure_logging
    from specsched.wire.garbage import spare_what_is_loaded
    from specsched.worker.process import run_worker

    configure_logging(settings.log.level, settings.log.format, worker=worker_id)
    manifest = manifest_of(settings)

    def load() -> "EngineCore":
        engine = make_engine(settings, manifest, worker_id, lambda stage: log.info("worker_loading", stage=stage))
        spare_what_is_loaded()
        return engine

    asyncio.run(
        run_worker(
            listen,
            load,
            drain_seconds=settings.server.drain_seconds,
            exit_with_parent=exit_with_parent,
            certificates=worker_certificates(settings, listen),
        )
    )
