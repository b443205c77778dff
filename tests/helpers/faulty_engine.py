"""A scripted engine that fails where a prompt tells it to."""

import os
import signal
import time

from specsched.engine.fake import ScriptedEngine
from specsched.records import Chunk

DIES, HANGS, FAILS, BUG = 4001, 4002, 4003, 4004
"""First token of a prompt, and what it does to the worker; the second token says before which token of the output."""


class FaultyEngine(ScriptedEngine):
    """Fails on demand."""

    def step(self) -> bool:
        for key, row in list(self._rows.items()):
            fault, *rest = row.job.prompt_ids
            if fault in (DIES, HANGS, FAILS) and row.said >= (rest[0] if rest else 0):
                self._fail(key, fault)
        return super().step()

    def submit(self, job, deliver):
        if job.prompt_ids[:1] == (BUG,):
            raise KeyError("a bug that one job meets")
        super().submit(job, deliver)

    def _fail(self, key: str, fault: int) -> None:
        if fault == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == HANGS:
            time.sleep(3600)
        self._rows.pop(key).deliver(Chunk((), failure="no numbers"))
