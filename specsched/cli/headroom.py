"""What there is to adapt to, under what verification costs here in float32 and in INT8."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specsched.bench.replay.headroom import Gain, Headroom
    from specsched.bench.replay.recording import Recording
    from specsched.modelkit.report import Check, Report, Value

_BAR = 0.08


def measure_headroom(paths: "Recording") -> "Report":
    """Find the best arms on one half of the prompts, in hindsight and as the other half would have them chosen."""
    from specsched.bench.replay.headroom import headroom
    from specsched.bench.replay.scenarios import chosen_paths
    from specsched.modelkit.report import Report, Table

    tune, report = (chosen_paths(paths, half) for half in ("tune", "report"))
    grids = {"float32": paths.costs} | ({} if paths.int8_costs is None else {"int8": paths.int8_costs})
    hindsight = {costs: headroom(report, report, grid) for costs, grid in grids.items()}
    other = {f"{costs}, arms of the other half": headroom(tune, report, grid) for costs, grid in grids.items()}
    columns = ("costs", "class", "temperature", "arm", "over_plain", "global_arm_over_plain")
    rows = [*_by_cell(hindsight), *_overall(hindsight), *_overall(other)]
    table = Table("Best static arm per class against the best one for all", columns, rows)
    return Report({"headroom": table}, list(_checks(hindsight)))


def _by_cell(found: "Mapping[str, Headroom]") -> "Iterator[tuple[Value, ...]]":
    for costs, of_costs in found.items():
        for (prompt_class, sampled), gain in of_costs.cells.items():
            yield costs, prompt_class, "sampled" if sampled else "greedy", *_figures(gain)


def _overall(found: "Mapping[str, Headroom]") -> "Iterator[tuple[Value, ...]]":
    for costs, of_costs in found.items():
        yield costs, "all", "both", *_figures(of_costs.overall)


def _figures(gain: "Gain") -> "tuple[Value, ...]":
    arm = gain.arm
    return f"{arm.draft_model} γ={arm.gamma}" if arm.gamma else "plain", gain.over_plain, gain.global_over_plain


def _checks(found: "Mapping[str, Headroom]") -> "Iterator[Check]":
    from specsched.modelkit.report import Check

    for costs, of_costs in found.items():
        suffix = "" if costs == "float32" else f"_{costs}"
        yield Check(f"headroom_class_over_global{suffix}", of_costs.gain, _BAR)
