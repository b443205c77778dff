"""`specsched bench peers`: the same models and prompts on the engines of others, side by side."""

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.contest import (
    ENVIRONMENTS,
    FP32,
    INT8,
    EnvironmentsOption,
    PlotsOption,
    PythonOption,
    RepeatsOption,
    ThreadsOption,
    load_contender,
    prepare,
    speeds_table,
    start_peer,
)
from specsched.cli.bench.running import FileOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import console, one_line_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specsched.bench.engine.tournament import Match, Result
    from specsched.bench.peers.process import Peer
    from specsched.cli.bench.contest import Places
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import Pool

BARS = {"transformers": 2.0, "llamacpp": 1.2, "openvino": 1.2}


@one_line_errors
def peers(
    pool: PoolOption = None,
    per_class: Annotated[int, typer.Option(min=1, help="Prompts a class to choose modes on, and to report on.")] = 3,
    max_tokens: TokensOption = 64,
    repeats: RepeatsOption = 2,
    threads: ThreadsOption = 1,
    environments: EnvironmentsOption = ENVIRONMENTS,
    python: PythonOption = None,
    *,
    peer: Annotated[
        list[str] | None, typer.Option("--peer", help="Name of a peer; all of them if none is named.")
    ] = None,
    how: Annotated[bool, typer.Option("--how", help="Print the commands that make the environments, and end.")] = False,
    json_file: FileOption = None,
    plots: PlotsOption = None,
) -> None:
    """Hold our engine against transformers, llama.cpp and OpenVINO GenAI, each in its best modes.

    Every peer runs in an environment of its own, --environments/NAME (see --how), and is skipped where
    that is missing. Ours is compared at the nearest precision: fp32 with transformers, INT8 with the others.
    """
    places = prepare(threads, environments, python, plots)
    from specsched.bench.engine.tournament import Match
    from specsched.bench.peers.process import instructions

    if how:
        console.print("\n".join(instructions(environments)), highlight=False, markup=False, soft_wrap=True)
        return
    match = Match(per_class, max_tokens, repeats)
    measure = partial(measure_peers, members(pool), match, places, wanted=_named(peer))
    report = run("peers", measure, json_file, "specsched bench peers")
    print_checks(report.checks)


def _named(names: "Sequence[str] | None") -> "Sequence[Peer]":
    from specsched.bench.peers.process import PEERS
    from specsched.errors import SetupError

    known = {peer.name: peer for peer in PEERS}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise SetupError(f"--peer {unknown[0]!r}: give one of {', '.join(known)}")
    return [known[name] for name in names or known]


def measure_peers(
    pool: "Pool", match: "Match", places: "Places", say: "Progress", wanted: "Sequence[Peer]"
) -> "Report":
    """Measure ours and every peer that is wanted and installed, and report; an empty report where none is."""
    from specsched.bench.engine.plots import plot_speeds
    from specsched.bench.engine.questions import questions_by_class
    from specsched.bench.engine.tournament import play_classes
    from specsched.modelkit.report import Report

    with ExitStack() as stack:
        started = [(peer, start_peer(peer, pool, places, stack, say)) for peer in wanted]
        running = {peer: process for peer, process in started if process is not None}
        if not running:
            return Report({}, [])
        ours = [load_contender(pool, name, places, say).contender for name in (FP32, INT8)]
        questions = questions_by_class(ours[0], pool, 2 * match.per_class, match.max_tokens)
        results = play_classes([*ours, *running.values()], questions, match, say)
        versions = {name: version for process in running.values() for name, version in process.versions.items()}
    if places.plots is not None:
        plot_speeds(results, places.plots / "peers.png")
    tables = {"peers": speeds_table(results, FP32), "summary": _summary(results), "versions": _versions(versions)}
    return Report(tables, [_check(results, peer) for peer in running])


def _check(results: "Sequence[Result]", peer: "Peer") -> "Check":
    from specsched.bench.engine.tournament import mean_over
    from specsched.modelkit.report import Check

    ours = INT8 if peer.precision == "int8" else FP32
    return Check(f"over_{peer.name}_best", mean_over(results, ours, peer.name), BARS[peer.name])


def _summary(results: "Sequence[Result]") -> "Table":
    """Each contender's speeds, and how far its tokens are fp32's, and its speculative ones its plain ones."""
    from statistics import fmean

    from specsched.bench.engine.tournament import agreement
    from specsched.modelkit.report import Table

    rows = [
        (
            name,
            fmean(r.plain[name].rate for r in results),
            fmean(r.fastest(name) for r in results),
            fmean(agreement(r.plain[name].tokens, r.plain[FP32].tokens) for r in results),
            fmean(agreement(r.best[name].tokens, r.plain[name].tokens) for r in results),
        )
        for name in results[0].plain
    ]
    columns = ("contender", "plain_tok_s", "fastest_tok_s", "plain_equal_to_fp32", "speculative_equal_to_plain")
    return Table("Means over classes; equal: share of tokens before the first difference", columns, rows)


def _versions(versions: "dict[str, str]") -> "Table":
    from specsched.modelkit.report import Table

    return Table("Versions of the peers", ("package", "version"), list(versions.items()))
