"""Workers whose rounds cost more than predicted are profiled again: while they are idle, and not too often."""

from dataclasses import replace

from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.errors import Unavailable
from specsched.scheduler.profiling import Profiling
from specsched.telemetry.base import NullMeter


class Counting(NullMeter):
    profiles = 0

    def profiled(self):
        self.profiles += 1


class Workers(FakeDispatcher):
    """Two workers, one of them busy; `gives_way` measures nothing, `gone` cannot be asked."""

    def __init__(self):
        super().__init__(lambda _job: (), (FAKE_WORKER, replace(FAKE_WORKER, worker_id="busy")))
        self.gives_way = self.gone = False

    def loads(self):
        return [replace(load, running_rows=int(load.worker_id == "busy")) for load in super().loads()]

    async def profile(self, worker_id):
        if self.gone:
            raise Unavailable("gone", retry_after_seconds=1.0)
        return await super().profile(worker_id) and not self.gives_way


class Watch:
    """A scheduler's minutes."""

    def __init__(self):
        self.now = 0.0
        self.workers, self.meter = Workers(), Counting()
        self.profiling = Profiling(self.workers, self.meter, lambda: self.now)

    async def asked(self, seconds):
        """Look every second; returns who was asked."""
        self.workers.profiled.clear()
        for _ in range(seconds):
            await self.profiling.look()
            self.now += 1.0
        return self.workers.profiled


async def test_only_who_wants_it_and_is_idle_is_profiled_and_then_left_alone():
    watch = Watch()
    assert await watch.asked(20) == []
    watch.workers.wanting = {"fake", "busy"}
    assert await watch.asked(590) == ["fake"]
    assert watch.meter.profiles == 1
    assert await watch.asked(20) == ["fake"]


async def test_one_that_gave_way_or_did_not_answer_is_asked_again_soon_and_not_counted():
    watch = Watch()
    watch.workers.wanting = {"fake"}
    watch.workers.gives_way = True
    assert len(await watch.asked(30)) == 3
    watch.workers.gone = True
    assert await watch.asked(30) == []
    watch.workers.gone = watch.workers.gives_way = False
    assert await watch.asked(30) == ["fake"]
    assert watch.meter.profiles == 1
