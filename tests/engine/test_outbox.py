"""A row that is paused is resumed, in whatever order two threads get there; chunks that came together say so."""

import asyncio
import threading
from contextlib import aclosing
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.engine.mailbag import Mailbag
from specsched.engine.outbox import Outbox
from specsched.errors import JobFailed, WorkerLost
from specsched.records import Chunk, FinishReason


async def test_the_last_word_after_a_pause_is_the_resume():
    """Orders are those in which the lock was taken: a pause that is posted late would stand for ever."""
    posted = []
    for _ in range(200):
        posted.clear()
        outbox = Outbox(
            Mailbag(asyncio.get_running_loop()),
            lambda: posted.append("pause"),
            lambda: posted.append("resume"),
            capacity=2,
        )
        outbox.put(Chunk((1,)))
        filling = threading.Thread(target=lambda box=outbox: box.put(Chunk((2,))))
        filling.start()
        outbox._taken()
        filling.join()
        outbox._taken()
        assert posted in ([], ["pause", "resume"])


def an_outbox(capacity=32):
    return Outbox(Mailbag(asyncio.get_running_loop()), lambda: None, lambda: None, capacity)


async def _read(rounds_between_reads):
    """What a reader gets that finds so many new rounds each time that it comes; the last one ends the stream."""
    outbox, said, total = an_outbox(), 0, sum(rounds_between_reads)
    got = []
    steps = iter(rounds_between_reads)
    async with aclosing(outbox.chunks()) as chunks:
        while not got or got[-1].finish is None:
            if not got or not got[-1].more:
                for _ in range(next(steps)):
                    said += 1
                    outbox.put(Chunk((said,), finish=FinishReason.LENGTH if said == total else None))
                await asyncio.sleep(0)
            got.append(await anext(chunks))
    return got


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_chunks_say_which_ones_came_together_however_reads_and_rounds_take_turns(rounds_between_reads):
    got = asyncio.run(_read(rounds_between_reads))
    assert [chunk.token_ids for chunk in got] == [(n + 1,) for n in range(sum(rounds_between_reads))]
    last_of_each = [n for n, chunk in enumerate(got, 1) if not chunk.more]
    assert last_of_each == list(accumulate(rounds_between_reads))


@pytest.mark.parametrize("end", [Chunk((), failure="no numbers"), WorkerLost("it died")])
async def test_what_stands_before_a_failure_waits_for_nothing(end):
    outbox = an_outbox()
    for item in (Chunk((1,)), Chunk((2,)), end):
        outbox.put(item)
    chunks = outbox.chunks()
    assert [await anext(chunks), await anext(chunks)] == [Chunk((1,), more=True), Chunk((2,))]
    with pytest.raises((JobFailed, WorkerLost)):
        await anext(chunks)
