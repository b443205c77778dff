"""`specsched serve` and `specsched worker`: the two processes."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.environment import apply, compute_environment
from specsched.cli.options import ConfigOption, ListenOption, LogOption, PoolOption, configuration, manifest_of
from specsched.cli.output import one_line_errors
from specsched.config.tree import Config


@one_line_errors
def serve(
    config: ConfigOption = None, pool: PoolOption = None, listen: ListenOption = None, log_level: LogOption = None
) -> None:
    """Run the service: a scheduler and its workers, until Ctrl-C or SIGTERM."""
    from specsched.telemetry.logging import configure_logging

    settings = configuration(config, pool=pool, address=listen, log_level=log_level)
    configure_logging(settings.log.level, settings.log.format)
    asyncio.run(_serve(settings, config))


async def _serve(config: Config, config_file: Path | None) -> None:
    from specsched.cli.wiring import make_scheduler, worker_command
    from specsched.dispatch.grpc import GrpcDispatcher
    from specsched.server.process import run_server
    from specsched.wire.serving import GrpcServer
    from specsched.worker.launcher import Backoff, Launcher

    manifest = manifest_of(config)
    section = config.workers
    async with AsyncExitStack() as stack:
        addresses, failed = section.addresses, _never
        server = GrpcServer(
            config.server.address,
            max_message_bytes=config.server.max_message_bytes,
            reflect=config.server.reflection,
        )
        dispatcher = GrpcDispatcher()
        scheduler = make_scheduler(config, manifest, dispatcher)  # before any worker starts: a bad pool ends it here
        if not addresses:
            backoff = Backoff(section.restart_backoff_seconds, section.restart_backoff_max_seconds)
            env = {**os.environ, **compute_environment(section.threads, section.count)}
            launcher = Launcher(section.count, worker_command(config_file, manifest), env, backoff)
            await stack.enter_async_context(launcher)
            addresses, failed = tuple(launcher.addresses), launcher.failed
        await stack.enter_async_context(dispatcher.connect(addresses))
        await run_server(server, scheduler, dispatcher, drain_seconds=config.server.drain_seconds, failed=failed)


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
    from specsched.cli.wiring import make_engine
    from specsched.telemetry.logging import configure_logging
    from specsched.worker.process import run_worker

    configure_logging(settings.log.level, settings.log.format, worker=worker_id)
    threads = int(os.environ["OMP_NUM_THREADS"])
    manifest = manifest_of(settings)
    asyncio.run(
        run_worker(
            listen,
            lambda: make_engine(settings, manifest, worker_id, threads),
            drain_seconds=settings.server.drain_seconds,
            exit_with_parent=exit_with_parent,
        )
    )
