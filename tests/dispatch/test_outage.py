"""Addresses of workers that answer nobody are told once, when it lasts."""

import asyncio

from structlog.testing import capture_logs

from specsched.dispatch.grpc import GrpcDispatcher
from specsched.dispatch.outage import Outage
from specsched.dispatch.patience import Patience


def test_an_outage_is_told_once_with_its_latest_cause_and_only_where_it_lasts():
    now = iter((0.0, 9.0, 100.0, 109.0, 110.0, 111.0, 200.0, 211.0))
    outage = Outage("host:1", 10.0, lambda: next(now))
    with capture_logs() as lines:
        outage.goes_on("refused")
        outage.goes_on("refused")
        outage.end()
        for cause in ("refused", "refused", "no route", "refused"):
            outage.goes_on(cause)
        outage.end()
        outage.goes_on("refused")
        outage.goes_on("refused")
    assert [(line["event"], line["address"], line["cause"]) for line in lines] == [
        ("worker_unreachable", "host:1", "no route"),
        ("worker_unreachable", "host:1", "refused"),
    ]


async def test_an_address_where_nobody_listens_is_told_with_the_cause(tmp_path):
    address = f"unix:{tmp_path}/nobody.sock"
    with capture_logs() as lines:
        async with GrpcDispatcher(patience=Patience(outage_seconds=0.2)).connect([address]), asyncio.timeout(20.0):
            while not lines:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
    (line,) = lines
    assert (line["event"], line["address"], line["log_level"]) == ("worker_unreachable", address, "warning")
    assert line["cause"].startswith("UNAVAILABLE: ")
