"""A worker process without models: `python -m specsched.bench.service.fake_worker ADDRESS MANIFEST SECONDS ROWS`.

It claims the drafts of a pool, so that the scheduler's policy decides as it would for a real worker. Rounds say when
they were ready, by this machine's monotonic clock, in place of how long verification took.
"""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

from specsched.bench.policy_speed import invented_costs
from specsched.engine.base import Deliver
from specsched.engine.fake import ScriptedEngine
from specsched.pool.manifest import load_pool
from specsched.records import NO_DRAFT, Chunk, Job, ModelInfo
from specsched.telemetry.logging import configure_logging
from specsched.wire.garbage import spare_what_is_loaded
from specsched.worker.process import run_worker

TOKENS_PER_CHUNK = 4


class StampedEngine(ScriptedEngine):
    """Commits four tokens a round whatever is planned, and writes into its `verify_seconds` when it was ready."""

    def submit(self, job: Job, deliver: Deliver) -> None:
        """Take a job."""
        drafts = self.describe().drafts
        draft = drafts[0].id if job.plan.draft_model == NO_DRAFT else job.plan.draft_model
        plan = replace(job.plan, draft_model=draft, gamma=TOKENS_PER_CHUNK - 1)
        super().submit(replace(job, plan=plan), lambda chunk: deliver(_stamped(chunk)))


def _stamped(chunk: Chunk) -> Chunk:
    if chunk.round is None:  # cancelled
        return chunk
    return replace(chunk, round=replace(chunk.round, verify_seconds=time.monotonic()))


def main() -> None:
    """Serve until standard input closes."""
    address, manifest, seconds, rows = sys.argv[1:]
    configure_logging("warning", "json")
    drafts = [ModelInfo(draft.id, draft.kind) for draft in load_pool(Path(manifest)).drafts]
    costs = invented_costs([draft.id for draft in drafts])

    def make_engine() -> ScriptedEngine:
        return StampedEngine(
            worker_id=address, round_seconds=float(seconds), drafts=drafts, costs=costs, max_rows=int(rows)
        )

    spare_what_is_loaded()
    asyncio.run(run_worker(address, make_engine, drain_seconds=0.0, exit_with_parent=True))


if __name__ == "__main__":
    main()
