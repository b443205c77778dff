"""How the scheduler grows: with workers, with streams at once, with drafts and with classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from specsched.bench.service.callers import calling, closed_loop, rate
from specsched.bench.service.cost import requests
from specsched.bench.service.processes import cpu_seconds, resident_bytes, scheduler_over_fakes
from specsched.pool.manifest import Pool


@dataclass(frozen=True, slots=True)
class Setting:
    """One service and its load."""

    workers: int = 1
    streams: int = 16
    drafts: int = 6
    classes: int = 8
    round_seconds: float = 0.0
    """Of the fake workers; 0: as fast as messages go."""
    rows: int = 64
    """Of each worker."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a setting came to."""

    setting: Setting
    calls_per_second: float
    cpu_seconds: float
    """Of the scheduler, per call."""
    p50_seconds: float
    """Of whole calls."""
    resident_bytes: int
    """Of the scheduler, after them."""


async def measure_point(pool: Pool, folder: Path, setting: Setting, calls: int) -> Point:
    """Serve one setting, and have all streams busy."""
    manifest = _manifest(pool, folder, setting.drafts)
    classes = [f"class-{number}" for number in range(setting.classes)]
    fakes = scheduler_over_fakes(
        folder,
        manifest,
        workers=setting.workers,
        round_seconds=setting.round_seconds,
        max_rows=setting.rows,
        environment={"SPECSCHED__POLICY__PROMPT_CLASSES": f"[{', '.join(classes)}]"},
    )
    asked = [request for name in classes for request in requests(prompt_class=name)[:8]]
    async with fakes as served, calling(served.address, asked) as caller:
        await closed_loop(caller.ask, setting.streams, max(setting.streams, calls // 4))  # warm-up
        before = cpu_seconds(served.pid)
        made = await closed_loop(caller.ask, setting.streams, calls)
        spent = cpu_seconds(served.pid) - before
        seconds = float(np.median([call.ended - call.sent for call in made]))
        return Point(setting, rate(made), spent / calls, seconds, resident_bytes(served.pid))


def efficiency(points: Sequence[Point]) -> float:
    """Calls per second of most workers ÷ that many times one worker's."""
    one, most = points[0], points[-1]
    return most.calls_per_second / (most.setting.workers / one.setting.workers * one.calls_per_second)


def _manifest(pool: Pool, folder: Path, drafts: int) -> Path:
    """Write a pool of this one's target and classifier with so many drafts, which fake workers only name."""
    tree = {
        "target": {"id": pool.target.id, "path": str(pool.target.path)},
        "drafts": [{"id": f"draft-{number}", "kind": "ngram"} for number in range(drafts)],
        "classifier": {"path": str(pool.classifier.path)} if pool.classifier else None,
    }
    file = folder / "pool.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in tree.items() if value}), encoding="utf-8")
    return file
