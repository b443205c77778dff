"""`specsched bench …`: every benchmark by its name."""

import typer

from specsched.cli.bench import (
    engine,
    everything,
    gpu,
    identity,
    peers,
    plain,
    policy,
    quantization,
    rounds,
    service,
    stretch,
)

app = typer.Typer(no_args_is_help=True, help="Measure.")
app.command()(identity.identity)
app.command()(plain.plain)
app.command()(engine.engine)
app.command()(peers.peers)
app.command()(quantization.quantization)
app.command()(stretch.stretch)
app.command("round")(rounds.rounds)
app.command()(policy.policy)
app.command()(gpu.gpu)
app.command()(service.service)
app.command("all")(everything.run_all)
