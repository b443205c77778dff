"""One frame of `specsched top`: what two looks at the metrics say, laid out for a terminal."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from specsched.telemetry.scrape import Change

_DRAFTS, _TOKENS = "spec_decode_num_drafts_total", "spec_decode_num_draft_tokens_total"
_ACCEPTED = "spec_decode_num_accepted_tokens_total"


def frame(change: Change) -> RenderableType:
    """Lay out one frame."""
    return Group(
        _headline(change),
        _table("acceptance, class × draft", _acceptance(change)),
        _table("γ of decisions", _gammas(change)),
        _table("workers", _workers(change)),
    )


def _headline(change: Change) -> RenderableType:
    now = change.now
    calls = change.count("requests_total", method="Generate")
    failed = calls - change.count("requests_total", method="Generate", code="OK")
    rounds, drafted, taken = change.count(_DRAFTS), change.count(_TOKENS), change.count(_ACCEPTED)
    plain = now.total("plain_decoding_tokens_per_second")
    figures = (
        *_calls(calls, failed, change.seconds),
        ("queue", f"{now.total('queue_depth'):.0f}"),
        ("plain tokens/s", f"{plain:.1f}" if plain else "–"),
        ("mean γ", _ratio(drafted, rounds)),
        ("acceptance length", _ratio(taken + rounds, rounds)),
        ("guard vetoes", f"{change.count('guard_vetoes_total'):.0f}"),
        ("restarts", f"{now.total('worker_restarts_total'):.0f}"),
        ("records lost", f"{now.total('telemetry_dropped_total'):.0f}"),
    )
    parts = [Text.assemble((name, "dim"), " ", (value, "bold")) for name, value in figures]
    return Text("   ").join([Text("specsched", "bold cyan"), *parts])


def _calls(calls: float, failed: float, seconds: float | None) -> Sequence[tuple[str, str]]:
    """Rates, or, where nobody knows since when, counts."""
    if seconds is None:
        return ("requests", f"{calls:.0f}"), ("failed", f"{failed:.0f}")
    return ("requests/s", _ratio(calls, seconds)), ("failed/s", _ratio(failed, seconds))


def _acceptance(change: Change) -> Sequence[Sequence[str]]:
    drafts = change.values(_DRAFTS, "draft")
    rows = [["class", "goodput tok/s", "× plain", *drafts]]
    for name in change.values(_DRAFTS, "prompt_class"):
        goodput = change.now.total("goodput_tokens_per_second", prompt_class=name)
        speedup = change.now.total("speedup_ratio", prompt_class=name)
        if goodput:
            cells = [_share(change, draft, name) for draft in drafts]
            rows.append([name, f"{goodput:.1f}", f"{speedup:.2f}" if speedup else "–", *cells])
    return rows


def _share(change: Change, draft: str, prompt_class: str) -> str:
    labels = {"draft": draft, "prompt_class": prompt_class}
    return _ratio(change.count(_ACCEPTED, **labels), change.count(_TOKENS, **labels))


def _gammas(change: Change) -> Sequence[Sequence[str]]:
    name = "policy_decisions_total"
    gammas = sorted(change.values(name, "gamma"), key=int)
    rows = [["draft", *gammas]]
    for draft in change.values(name, "draft"):
        counts = [change.count(name, draft=draft, gamma=gamma) for gamma in gammas]
        if any(counts):
            rows.append([draft, *(f"{count:.0f}" if count else "·" for count in counts)])
    return rows


def _workers(change: Change) -> Sequence[Sequence[str]]:
    rows = [["worker", "up", "KV", "guard tokens"]]
    for worker in change.values("worker_up", "worker"):
        up = change.now.total("worker_up", worker=worker)
        kv = change.now.total("kv_cache_usage_ratio", worker=worker)
        budget = change.now.total("guard_budget_tokens", worker=worker)
        rows.append([worker, "yes" if up else "no", f"{kv:.0%}", f"{budget:.1f}"])
    return rows


def _ratio(above: float, below: float) -> str:
    return f"{above / below:.2f}" if below and not math.isnan(above / below) else "–"


def _table(title: str, rows: Sequence[Sequence[str]]) -> RenderableType:
    """The first row is the head; names stand left, figures right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if number else "left", style="" if number else "cyan")
    for row in rows[1:]:
        table.add_row(*row)
    if len(rows) == 1:
        table.add_row(Text("nothing yet", "dim"))
    return table
