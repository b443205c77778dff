"""How many threads compute: one against all, measured where the worker will run.

Client, scheduler and worker share the cores, and small forwards gain little from a second thread; so the choice is
made by a rehearsal beside the service's own processes, not by counting cores (ENGINE.md, "Speed on a CPU").
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import structlog
import torch

from specsched.engine.model import LanguageModel

log = structlog.get_logger()

REPEATS = 6
WORTH = 1.1
"""Times that all threads must be faster than one: cores that a worker leaves free serve the others."""
_CONTEXT = 64
_POSITIONS = 5


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Median seconds of the same work, with one thread and with all."""

    most: int
    """Threads that this process may have."""
    alone_seconds: float
    together_seconds: float

    @property
    def threads(self) -> int:
        """The better number."""
        return self.most if self.alone_seconds > WORTH * self.together_seconds else 1


def settle_threads(asked: int, target: LanguageModel, max_rows: int) -> None:
    """Set this thread's compute threads: as asked, or by a rehearsal where that is 0. A GPU is left alone."""
    if asked:
        torch.set_num_threads(asked)
        return
    most = torch.get_num_threads()
    if most == 1 or target.device.type != "cpu":
        return
    found = rehearse(lambda: _steps(target, max_rows), most)
    torch.set_num_threads(found.threads)
    log.info(
        "threads_chosen",
        threads=found.threads,
        of=most,
        one_thread_ms=round(found.alone_seconds * 1e3, 3),
        all_threads_ms=round(found.together_seconds * 1e3, 3),
    )


def rehearse(
    work: Callable[[], object],
    most: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    set_threads: Callable[[int], object] = torch.set_num_threads,
) -> Rehearsal:
    """Time some work with one thread and with `most`, in turns (ABBA) after a warm-up of both.

    Args:
        work: What is timed.
        most: Threads to hold against one.
        clock: Seconds that pass: what other processes take counts.
        set_threads: Sets how many compute.
    """
    seconds: dict[int, list[float]] = {1: [], most: []}
    for turn in range(1 + REPEATS):
        for threads in (1, most, most, 1):
            set_threads(threads)
            started = clock()
            work()
            if turn:
                seconds[threads].append(clock() - started)
    return Rehearsal(most, median(seconds[1]), median(seconds[most]))


def _steps(target: LanguageModel, max_rows: int) -> None:
    """What rounds are made of: one position, a verification, and a batch."""
    rows = [target.kv.open() for _ in range(max_rows)]
    for row in rows:
        row.length = min(_CONTEXT, target.max_context_tokens - _POSITIONS)  # zeros cost the same
    target.forward(rows[:1], [[0]])
    target.forward(rows[:1], [[0] * _POSITIONS])
    target.forward(rows, [[0]] * max_rows)
    for row in reversed(rows):
        target.kv.close(row)
