"""A worker whose one row waits for a gate."""

import asyncio
from dataclasses import replace

from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.records import Chunk, FinishReason


class Gated(FakeDispatcher):
    """One row, whose jobs end when the gate opens."""

    def __init__(self):
        super().__init__(lambda _job: (), (replace(FAKE_WORKER, max_rows=1),))
        self.gate = asyncio.Event()

    async def execute(self, job):
        """Wait, then say one token."""
        self.jobs.append(job)
        await self.gate.wait()
        yield Chunk((9,), finish=FinishReason.LENGTH)
