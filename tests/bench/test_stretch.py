"""The stretch that is reported is that of the row's own tokens."""

import pytest

from specsched.bench.stretch import StretchJob, measure
from specsched.engine.settings import EngineSettings
from specsched.policy.controller import PlannedController
from specsched.records import Plan
from tests.helpers.tiny import engine_of, tiny_network


class Ticking:
    """A clock that a forward moves on by so much a position."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("chunk", "expected"), [(4, 1 + 4 / 2), (1, 1 + 1 / 2)])
def test_a_stretch_of_a_prompt_beside_a_round_shows_in_the_rows_time_per_token(chunk, expected):
    clock = Ticking()
    settings = EngineSettings(max_rows=2, prefill_chunk_tokens=chunk, prefix_cache_tokens=0)
    engine = engine_of(tiny_network(vocab=256, max_positions=1024), controller=PlannedController(), settings=settings)
    forward = engine._target.forward

    def slow(rows, tokens, **options):
        clock.now += 1.0 if options.get("keep_last") else 2.0
        clock.now += len(tokens[0]) - 1.0 if options.get("keep_last") else 0.0
        return forward(rows, tokens, **options)

    engine._target.forward = slow
    summary = measure(engine, Plan(), StretchJob(prompt_tokens=80, repeats=1), clock=clock)
    assert summary.alone_p99 == summary.alone_p50 == pytest.approx(2.0)
    assert summary.beside_p50 / summary.alone_p50 == pytest.approx(expected)
    assert summary.stretch_p99 == pytest.approx(expected, rel=0.1)
