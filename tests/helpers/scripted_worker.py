"""A worker process around the scripted engine: `python -m tests.helpers.scripted_worker ID ADDRESS SECONDS`.

It fails where a prompt tells it to. It starts in a moment, since it holds no models; killed, it is as dead as any
worker.
"""

import asyncio
import sys

from specsched.errors import SetupError
from specsched.telemetry.logging import configure_logging
from specsched.worker.process import run_worker
from tests.helpers.faulty_engine import FaultyEngine


def main() -> None:
    worker_id, address, round_seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    configure_logging("warning", "json", worker=worker_id)

    def make_engine() -> FaultyEngine:
        if round_seconds < 0:
            raise SetupError("there is no such pool")
        return FaultyEngine(worker_id=worker_id, round_seconds=round_seconds)

    try:
        asyncio.run(run_worker(address, make_engine, drain_seconds=5.0, exit_with_parent=True))
    except SetupError as error:
        sys.exit(f"error: {error}" if round_seconds >= 0 else 2)


if __name__ == "__main__":
    main()
