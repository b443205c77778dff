"""What `bench engine` and `bench peers` share: contenders, where they lie, and the table of their speeds."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.environment import apply, compute_environment
from specsched.cli.output import console
from specsched.errors import SetupError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from specsched.bench.engine.acceptance import Acceptance
    from specsched.bench.engine.contender import Clock, EngineContender
    from specsched.bench.engine.tournament import Result, Tally
    from specsched.bench.peers.process import Peer, PeerProcess
    from specsched.engine.engine import Engine
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Table, Value
    from specsched.pool.manifest import Pool

RepeatsOption = Annotated[int, typer.Option(min=1, help="Rounds, each forwards and backwards through all entries.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Compute threads of every contender.")]
EnvironmentsOption = Annotated[Path, typer.Option(help="Folder of the peers' environments, one per name.")]
PythonOption = Annotated[
    list[str] | None, typer.Option("--python", help="NAME=PATH: the interpreter of a peer's environment.")
]
PlotsOption = Annotated[Path | None, typer.Option("--plots", help="Draw into this folder.")]

FP32, INT8 = "fp32", "int8"
"""Names of our contenders."""
ENVIRONMENTS = Path(".peers")
_PROFILE_SECONDS = 8.0
ROWS = 8


@dataclass(frozen=True, slots=True)
class Places:
    """Where contenders run and what they are given."""

    threads: int
    environments: Path
    pythons: Mapping[str, Path]
    plots: Path | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """Our engine in one precision."""

    engine: "Engine"
    contender: "EngineContender"
    clock: "Clock"


def prepare(
    threads: int,
    environments: Path = ENVIRONMENTS,
    pythons: Sequence[str] | None = None,
    plots: Path | None = None,
) -> Places:
    """Set this process's thread policy, before torch is loaded, and read the options.

    Raises:
        SetupError: an option that is not NAME=PATH.
    """
    apply(compute_environment(threads))
    given = dict(_named(each) for each in pythons or ())
    return Places(threads, environments, given, plots)


def load_contender(pool: "Pool", name: str, places: Places, say: "Progress", rates: tuple[float, ...] = ()) -> Loaded:
    """Load our engine, in float32 or INT8 by its name; with `rates`, acceptance is synthetic."""
    from specsched.bench.engine.contender import EngineContender
    from specsched.engine.device import choose_device
    from specsched.engine.load import load_engine
    from specsched.engine.profile import stopwatch_for
    from specsched.engine.settings import EngineSettings
    from specsched.policy.controller import PlannedController

    quantization = "int8" if name == INT8 else "none"
    target = replace(pool.target, dtype="float32", quantization=quantization)
    settings = EngineSettings(
        max_rows=ROWS, profile_seconds=_PROFILE_SECONDS, threads=places.threads, synthetic_acceptance=rates
    )
    engine = load_engine(replace(pool, target=target), settings, lambda _costs: PlannedController(), say)
    clock = stopwatch_for(choose_device(settings.device))
    return Loaded(engine, EngineContender(engine, name, clock), clock)


def start_peer(peer: "Peer", pool: "Pool", places: Places, stack: "ExitStack", say: "Progress") -> "PeerProcess | None":
    """Start a peer until the stack unwinds; says so in a line, and returns None, where it is not installed."""
    from specsched.bench.peers.process import PeerProcess, find_python

    python = find_python(peer, places.environments, places.pythons)
    if python is None:
        console.print(f"{peer.name}: skipped, not installed; `specsched bench peers --how` tells how", highlight=False)
        return None
    say(f"starting {peer.name}: it loads, and converts, the models")
    work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="specsched-peer-", ignore_cleanup_errors=True)))
    policy = compute_environment(places.threads)
    return stack.enter_context(PeerProcess(peer, python, pool, work, threads=places.threads, environment=policy))


def speeds_table(results: "Sequence[Result]", reference: str, note: str = "") -> "Table":
    """One line per class, contender and mode; `reference` names the contender whose plain tokens others are held to."""
    from specsched.modelkit.report import Table

    columns = (
        "class",
        "contender",
        "mode",
        "same_as_plain",
        f"equal_to_{reference}",
        "looping",
        "tok_s",
        "over_plain",
        "whole_tok_s",
    )
    rows = [
        _row(result, name, tally, reference)
        for result in results
        for name in result.plain
        for tally in _tallies(result, name)
    ]
    title = "One row, tokens/s without the prompt's share (whole: with it); modes chosen on other prompts"
    return Table(f"{title}{note}", columns, rows)


def acceptance_table(cells: "Sequence[Acceptance]") -> "Table":
    """One line per class and draft."""
    from specsched.modelkit.report import Table

    rows = [(c.prompt_class, c.draft, c.accepted, c.length, " ".join(map(_digits, c.hazards))) for c in cells]
    columns = ("class", "draft", "accepted", "length", "hazards, by position")
    return Table("Acceptance, greedy, longest lookahead", columns, rows)


def _digits(hazard: float | None) -> str:
    return "–" if hazard is None else f"{hazard:.2f}"


def _tallies(result: "Result", name: str) -> "list[Tally]":
    plain, best = result.plain[name], result.best[name]
    return [plain] if best.entry == plain.entry else [plain, best]


def _row(result: "Result", name: str, tally: "Tally", reference: str) -> "tuple[Value, ...]":
    from statistics import fmean

    from specsched.bench.engine.tournament import agreement
    from specsched.text.repetition import is_looping

    plain = result.plain[name]
    return (
        result.prompt_class,
        name,
        str(tally.entry.mode),
        agreement(tally.tokens, plain.tokens),
        agreement(tally.tokens, result.plain[reference].tokens),
        fmean(float(is_looping(tokens)) for tokens in tally.tokens),
        tally.rate,
        tally.rate / plain.rate,
        tally.whole_rate,
    )


def _named(option: str) -> tuple[str, Path]:
    name, separator, path = option.partition("=")
    if not separator:
        raise SetupError(f"--python {option}: not NAME=PATH")
    return name, Path(path).expanduser()
