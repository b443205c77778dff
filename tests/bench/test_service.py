"""What the service's benchmark measures with: callers, a relay that changes nothing, fake workers, whole processes."""

import random

import pytest

from specsched.bench.service.callers import Call, calling, closed_loop, open_loop, rate
from specsched.bench.service.cost import CHUNKS, CostJob, measure_cost, requests
from specsched.bench.service.player import record, recorded
from specsched.bench.service.processes import cpu_seconds, helper, resident_bytes
from specsched.bench.service.scale import Point, Setting, efficiency, measure_point
from specsched.pool.manifest import default_manifest, load_pool
from specsched.v1 import scheduler_pb2
from specsched.wire.caller import request_to_proto
from tests.helpers.service import ask, scripted_service


def chunk(tokens: int, ready: float) -> bytes:
    message = scheduler_pb2.GenerateResponse()
    message.chunk.token_ids.extend(range(tokens))
    message.chunk.round.verify_seconds = ready
    return message.SerializeToString()


def complete() -> bytes:
    message = scheduler_pb2.GenerateResponse()
    message.complete.usage.completion_tokens = 6
    return message.SerializeToString()


CALL = Call(1.0, ((3.0, chunk(2, 2.5)), (5.0, chunk(4, 4.0)), (5.5, complete())))


def test_a_call_says_how_long_its_caller_waited_and_how_long_messages_were_under_way():
    assert CALL.seconds_to_first == 2.0
    assert CALL.seconds_per_token() == [0.5]
    assert CALL.own_seconds() == [1.5, 0.5, 1.0]
    assert CALL.complete.usage.completion_tokens == 6
    assert rate([CALL, Call(2.0, ((4.0, complete()),))]) == pytest.approx(2 / 4.5)


async def test_loops_make_as_many_calls_as_they_are_asked_for(tmp_path):
    asked = [request_to_proto(ask("", max_tokens=9))]
    async with scripted_service(tmp_path) as served, calling(served.address, asked) as caller:
        made = await closed_loop(caller.ask, 4, 10)
        made += await open_loop(caller.ask, 200.0, 10, random.Random(0))
    assert [call.complete.usage.completion_tokens for call in made] == [9] * 20
    assert all(call.sent <= call.arrivals[0][0] <= call.ended for call in made)


async def test_a_relay_passes_on_what_a_player_plays(tmp_path):
    tape, player, relay = tmp_path / "tape", f"unix:{tmp_path}/p.sock", f"unix:{tmp_path}/r.sock"
    messages = [message for _, message in CALL.arrivals]
    record(messages, tape)
    assert list(recorded(tape)) == messages
    async with (
        helper("player", player, str(tape), "0.0"),
        helper("relay", relay, player) as pid,
        calling(relay, requests()[:1]) as caller,
    ):
        call = await caller.ask()
        assert cpu_seconds(pid) > 0
        assert resident_bytes(pid) > 2**20
    assert [message for _, message in call.arrivals] == messages


async def test_a_call_has_eight_chunks_whatever_the_policy_plans(tmp_path):
    cost = await measure_cost(default_manifest(), tmp_path, CostJob(calls=8, repeats=1, saturating=8))
    assert len(cost.own_seconds) == 8 * (CHUNKS + 1)
    assert 0 < cost.own_quantile(0.5) <= cost.own_quantile(0.99)
    assert cost.over_relay > 0


@pytest.mark.slow
async def test_a_service_of_many_drafts_and_classes_can_be_measured(tmp_path):
    setting = Setting(workers=2, streams=4, drafts=9, classes=12)
    point = await measure_point(load_pool(default_manifest()), tmp_path, setting, 8)
    assert point.calls_per_second > 0
    assert point.resident_bytes > 2**20


def test_efficiency_is_what_each_worker_still_brings():
    one, four = (Point(Setting(workers=n), per_second, 0.0, 0.0, 0) for n, per_second in ((1, 10.0), (4, 30.0)))
    assert efficiency([one, four]) == pytest.approx(0.75)
