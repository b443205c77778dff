"""`specsched top`: a running service, live in the terminal, read from its metrics endpoint."""

import time
from typing import Annotated

import typer

from specsched.cli.options import ConfigOption, configuration
from specsched.cli.output import console, one_line_errors

DEFAULT_ADDRESS = "127.0.0.1:9464"
_WINDOW = 15
"""Frames that a figure looks back over."""


@one_line_errors
def top(
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="host:port of the metrics; else the configuration's, else 127.0.0.1:9464."),
    ] = None,
    config: ConfigOption = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Between two frames.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame, of all since the service started.")] = False,
) -> None:
    """Watch a service: requests, goodput against plain decoding, acceptance, γ, queue, guard, workers."""
    from rich.live import Live

    from specsched.cli.frame import frame
    from specsched.telemetry.scrape import Change, scrape

    address = metrics or configuration(config).telemetry.metrics_address or DEFAULT_ADDRESS
    look = scrape(address, time.monotonic())
    if once:
        console.print(frame(Change(None, look)))
        return
    looks = [look]
    with Live(frame(Change(look, look)), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(seconds)
                looks = [*looks[-_WINDOW:], scrape(address, time.monotonic())]
                live.update(frame(Change(looks[0], looks[-1])), refresh=True)
        except KeyboardInterrupt:
            return
