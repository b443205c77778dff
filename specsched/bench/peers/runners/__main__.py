"""`python runners NAME OPTIONS`: one peer, in its own environment, answers prompts from standard input.

Nothing here imports specsched, and each module imports its peer's packages alone. Lines of JSON go both ways:

    out  {"versions": {...}, "modes": [{"kind", "draft", "gamma", "schedule"}, ...]}     once, when it is loaded
    in   {"mode": {...}, "prompt_ids": [...], "max_tokens": n}
    out  {"tokens": [...], "first_tokens": k, "decode_seconds": s, "seconds": s}
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

Clock = Callable[[], float]


def main() -> None:
    """Load, say what is offered, answer until standard input ends."""
    name, options = sys.argv[1], json.loads(sys.argv[2])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    clock = time.process_time if options["threads"] == 1 else time.perf_counter  # what others take does not count
    runner = importlib.import_module(name).Runner(options)
    _say(out, {"versions": runner.versions, "modes": runner.modes})
    for line in sys.stdin:
        _say(out, _answer(runner, json.loads(line), clock))


class Deliveries:
    """Notes when tokens come, and how many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.times: list[float] = []
        self.counts: list[int] = []

    def __call__(self, tokens: Sequence[int]) -> None:
        """Take some."""
        self.times.append(self._clock())
        self.counts.append(len(tokens))


def _answer(runner: Any, asked: dict[str, Any], clock: Clock) -> dict[str, Any]:
    deliver = Deliveries(clock)
    started = clock()
    tokens = runner.answer(asked["mode"], asked["prompt_ids"], asked["max_tokens"], deliver)
    seconds = clock() - started
    return {
        "tokens": tokens,
        "first_tokens": deliver.counts[0],
        "decode_seconds": deliver.times[-1] - deliver.times[0],
        "seconds": seconds,
    }


def _say(out: TextIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
