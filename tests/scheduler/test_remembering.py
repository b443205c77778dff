"""What is learnt is written while it is learnt, and a store that fails disturbs nobody."""

import asyncio
import contextlib

from structlog.testing import capture_logs

from specsched.policy.memory import Cell, NullStore
from specsched.scheduler.remembering import Memory

GREEDY = (False, True)
CELL = Cell(*GREEDY, "d", "", "chat", 1, 1.0, 0.0)


class Learning:
    """A policy that learns when it is told to."""

    def __init__(self):
        self.revision = 0
        self.restored = ()

    def export(self):
        return (CELL,) * self.revision

    def restore(self, cells):
        self.restored = cells

    def decide(self, context):
        raise AssertionError

    def observe(self, observation):
        raise AssertionError


class Listed(NullStore):
    """Keeps what it is given, when it does not fail."""

    def __init__(self, cells=(), fails=0):
        self.saved = []
        self._cells, self._fails = cells, fails

    def load(self):
        return self._cells

    def save(self, cells):
        if self._fails:
            self._fails -= 1
            raise OSError("disk full")
        self.saved.append(cells)


async def test_what_was_kept_is_taken_up_at_start():
    learning = Learning()
    Memory(learning, Listed((CELL,)))
    assert learning.restored == (CELL,)


async def test_only_news_is_saved():
    learning, store = Learning(), Listed()
    memory = Memory(learning, store)
    await memory.save()
    learning.revision = 2
    await memory.save()
    await memory.save()
    assert store.saved == [(CELL, CELL)]


async def test_a_store_that_fails_is_tried_again():
    learning, store = Learning(), Listed(fails=1)
    memory = Memory(learning, store)
    learning.revision = 1
    await memory.save()
    assert store.saved == []
    await memory.save()
    assert store.saved == [(CELL,)]


async def test_it_saves_by_itself():
    learning, store = Learning(), Listed()
    memory = Memory(learning, store, seconds=0.01)
    keeping = asyncio.create_task(memory.keep())
    learning.revision = 1
    while not store.saved:
        await asyncio.sleep(0.005)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping


async def test_a_policy_that_learns_nothing_is_left_alone():
    store = Listed((CELL,))
    await Memory(object(), store).save()
    assert store.saved == []


class Away:
    """A store that never answers, and one that is shared."""

    def load(self):
        return ()

    def save(self, cells):
        raise OSError("away")


class Shared(Away):
    """Has news once; notes what it was told."""

    def __init__(self):
        self.told, self.taken = [], []

    def sync(self, cells):
        self.told.append(tuple(cells))
        return () if self.taken else (CELL,)

    def took(self, news):
        self.taken.append(tuple(news))


async def test_a_store_that_fails_is_said_once():
    memory = Memory(Learning(), Away())
    with capture_logs() as logs:
        for _ in range(3):
            memory.hand_over(Learning(), ())
            await memory.save()
    assert [log["event"] for log in logs] == ["store_failed"]


async def test_what_others_learnt_is_taken_up_even_when_nothing_is_new_here():
    store, learning = Shared(), Learning()
    memory = Memory(learning, store)
    await memory.save()
    await memory.save()
    assert store.taken == [(CELL,)]
    assert learning.restored == (CELL,)
    assert len(store.told) == 2
