"""What Prometheus sees of a service: every number moves by exactly what happened."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import aclosing

import grpc
import pytest

from specsched.bench.served import ServedProcess
from specsched.client import Client
from specsched.errors import DeadlinePassed, Overloaded, UnknownRequest
from specsched.records import SpeculationHint
from specsched.telemetry.sinks.reading import read_acceptance
from tests.helpers.metered import ROUND_SECONDS, free_address, metered_service, moved, read, samples_of
from tests.helpers.pools import save_pool
from tests.helpers.service import ask, scripted_tokens

OTHER_METHOD = "/specsched.v1.SchedulerService/Abort"
PROMPT = (20, 21, 22)


async def test_a_scrape_tells_requests_refusals_and_a_killed_worker(tmp_path):
    async with metered_service(tmp_path) as served:
        start = await served.scrape()
        assert start["worker_up/worker-0"] == 1
        assert start["requests_total/OK/Generate"] == start["worker_restarts_total"] == 0

        await served.client.complete(ask(max_tokens=30))
        after_one = await served.scrape()
        assert moved(start, after_one) == {
            "requests_total/OK/Generate": 1,
            "request_duration_seconds_count/Generate": 1,
            "classifier_seconds_count": 1,
            "decision_seconds_count": 1,
            "policy_decisions_total/draft/false/2/chat": 1,
            "queue_wait_seconds_count": 1,
            "time_to_first_token_seconds_count": 1,
            "time_per_output_token_seconds_count": 1,
            "tenant_draft_tokens_total/default": 20,
            "tenant_worker_seconds_total/default": pytest.approx(10 * ROUND_SECONDS),
            "spec_decode_num_drafts_total/draft/chat": 10,
            "spec_decode_num_draft_tokens_total/draft/chat": 20,
            "spec_decode_num_accepted_tokens_total/draft/chat": 20,
            "spec_decode_num_accepted_tokens_per_pos_total/draft/1": 10,
            "spec_decode_num_accepted_tokens_per_pos_total/draft/2": 10,
        }
        assert after_one["goodput_tokens_per_second/chat"] == pytest.approx(3 / ROUND_SECONDS)
        assert after_one["speedup_ratio/chat"] == 0  # scripted workers profile nothing

        await refusals(served)
        after_refusals = await served.scrape()
        refused = moved(after_one, after_refusals)
        assert refused["rejected_total/OVERLOADED"] == 1
        calls = {name: count for name, count in refused.items() if name.startswith("requests_total")}
        assert calls == {
            "requests_total/RESOURCE_EXHAUSTED/Generate": 1,
            "requests_total/CANCELLED/Generate": 1,
            "requests_total/DEADLINE_EXCEEDED/Generate": 1,
            "requests_total/NOT_FOUND/Abort": 1,
            "requests_total/INVALID_ARGUMENT/Abort": 1,
        }

        await survived_kill(served)
        await served.until("worker_up/worker-0", 1)
        killed = moved(after_refusals, await served.scrape())
        assert killed["worker_restarts_total"] == 1
        assert killed["requests_total/OK/Generate"] == 1
        assert killed["spec_decode_num_drafts_total/draft/chat"] == 40
        assert killed["spec_decode_num_accepted_tokens_total/draft/chat"] == 80


async def refusals(served):
    """One request too many, a caller that leaves, a deadline, an unknown id, and bytes that are no message."""
    async with aclosing(served.client.generate(ask("first", max_tokens=2000))) as stream:
        await anext(stream)
        with pytest.raises(Overloaded):
            await served.client.complete(ask("second"))
    await served.until("requests_total/CANCELLED/Generate", 1)
    with pytest.raises(DeadlinePassed):
        await served.client.complete(ask(max_tokens=2000), timeout_seconds=0.2)
    await served.until("requests_total/DEADLINE_EXCEEDED/Generate", 1)
    with pytest.raises(UnknownRequest):
        await served.client.abort("nobody")
    async with grpc.aio.insecure_channel(served.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(OTHER_METHOD)(b"\xff\xff")
    await served.until("requests_total/INVALID_ARGUMENT/Abort", 1)  # counted after it was answered


async def survived_kill(served):
    """A completion of 40 rounds whose worker is killed after five."""
    answers = []
    async with aclosing(served.client.generate(ask(max_tokens=120))) as stream:
        async for answer in stream:
            answers.append(answer)
            if len(answers) == 5:
                os.kill(served.launcher.pids[0], signal.SIGKILL)
                await served.until("worker_up/worker-0", 0)
    assert answers[-1].token_ids == scripted_tokens(PROMPT, 120)


async def test_the_command_line_serves_metrics_and_records_of_real_models(tmp_path):
    address, folder = free_address(), tmp_path / "records"
    settings = {
        "SPECSCHED__WORKERS__PROFILE_SECONDS": "0.2",
        "SPECSCHED__TELEMETRY__METRICS_ADDRESS": address,
        "SPECSCHED__TELEMETRY__JSONL": f"{{directory: {folder}/jsonl, flush_seconds: 0.1}}",
        "SPECSCHED__TELEMETRY__PARQUET": f"{{directory: {folder}/parquet}}",
    }
    async with ServedProcess(["--pool", str(save_pool(tmp_path))], settings) as service:
        async with Client(service.address) as client:
            hint = SpeculationHint(draft_model="draft", num_speculative_tokens=3)
            completion = await client.complete(ask(prompt=tuple(range(40, 60)), max_tokens=40, speculation=hint))
        scraped = await asyncio.to_thread(read, address)
    samples, prompt_class = samples_of(scraped), completion.decision.prompt_class
    records = list(read_acceptance(folder / "jsonl"))
    assert records == list(read_acceptance(folder / "parquet"))
    assert {record.worker_id for record in records} == {"worker-0"}
    assert sum(record.committed_tokens for record in records) == completion.usage.completion_tokens
    assert sum(record.round.num_accepted for record in records) == completion.speculation.num_accepted_draft_tokens
    assert samples["telemetry_dropped_total/jsonl"] == samples["telemetry_dropped_total/parquet"] == 0
    assert "_created" not in scraped
    assert samples["worker_up/worker-0"] == samples["requests_total/OK/Generate"] == 1
    assert samples[f"spec_decode_num_drafts_total/draft/{prompt_class}"] == completion.speculation.num_spec_steps
    goodput = samples[f"goodput_tokens_per_second/{prompt_class}"]
    ratio = goodput / samples["plain_decoding_tokens_per_second"]
    assert samples[f"speedup_ratio/{prompt_class}"] == pytest.approx(ratio, rel=0.2)


async def test_a_metrics_port_in_use_ends_the_service_with_one_line():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        env = {
            **os.environ,
            "SPECSCHED__TELEMETRY__METRICS_ADDRESS": address,
            "SPECSCHED__ADMIN__ADDRESS": "127.0.0.1:0",
            "SPECSCHED__LOG__LEVEL": "warning",
        }
        command = [sys.executable, "-m", "specsched", "serve", "--listen", "127.0.0.1:0"]
        process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
    assert process.returncode == 2
    assert said.decode() == f"error: cannot serve metrics on {address}: Address already in use\n"
