"""`specsched serve` as an operator runs it: real processes, real models, tiny ones."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from transformers import AutoModelForCausalLM

from specsched.bench.served import ServedProcess
from specsched.client import Client
from specsched.errors import SetupError
from specsched.records import (
    ChatMessage,
    ChatPrompt,
    Completion,
    Output,
    Request,
    Sampling,
    SpeculationHint,
    Stopping,
    TokenPrompt,
)
from tests.helpers.pools import save_pool

QUICK = {"SPECSCHED__WORKERS__PROFILE_SECONDS": "0.2"}
PROMPT = tuple(range(40, 60))


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return save_pool(tmp_path_factory.mktemp("pool"), max_positions=1024)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(manifest):
    """One service for the whole file; at its end SIGTERM must end all of it with 0."""
    async with ServedProcess(["--pool", str(manifest)], QUICK) as served:
        yield served
        workers = children(served.pid)
        os.kill(served.pid, signal.SIGTERM)
        assert await served.wait() == 0
        assert not any(running(pid) for pid in workers)


@pytest_asyncio.fixture(loop_scope="module")
async def client(service):
    async with Client(service.address) as caller:
        await caller.ready(timeout_seconds=60)  # a worker that was killed comes back
        yield caller


def ask(name="r", *, max_tokens=40, sampling=None, **fields):
    sampling = sampling or Sampling(temperature=0.0)
    stopping = Stopping(max_tokens=max_tokens, ignore_eos=True)
    return Request(name, TokenPrompt(PROMPT), sampling=sampling, stopping=stopping, **fields)


def reference(manifest, max_tokens):
    """What transformers says to the prompt, greedily."""
    network = AutoModelForCausalLM.from_pretrained(manifest.parent / "target", dtype=torch.float32)
    prompt = torch.tensor([PROMPT])
    with torch.inference_mode():
        said = network.generate(prompt, max_new_tokens=max_tokens, do_sample=False, eos_token_id=None, pad_token_id=0)
    return tuple(said[0, len(PROMPT) :].tolist())


def running(pid):
    return Path(f"/proc/{pid}").exists()


def children(pid):
    """Processes that a process started."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_batches_say_what_the_target_says(manifest, client):
    calls = [client.complete(ask(f"r{i}")) for i in range(6)]
    assert {completion.token_ids for completion in await asyncio.gather(*calls)} == {reference(manifest, 40)}


async def test_a_pinned_draft_is_used_and_changes_no_token(manifest, client):
    pinned = SpeculationHint(draft_model="draft", num_speculative_tokens=3)
    completion = await client.complete(ask(speculation=pinned))
    assert completion.token_ids == reference(manifest, 40)
    assert completion.speculation.mean_acceptance_length > 1.2


async def test_a_seed_gives_one_completion_whatever_serves_it(client):
    sampling = Sampling(temperature=0.9, seed=2**62 + 5)
    hints = [
        SpeculationHint(disable=True),
        SpeculationHint(draft_model="draft", num_speculative_tokens=4),
        SpeculationHint(),
    ]
    calls = [client.complete(ask(f"r{i}", sampling=sampling, speculation=hint)) for i, hint in enumerate(hints)]
    assert len({completion.token_ids for completion in await asyncio.gather(*calls)}) == 1


async def test_a_conversation_goes_through_the_chat_template(client):
    completion = await client.complete(Request("c", ChatPrompt((ChatMessage("user", "the cat"),))))
    assert completion.usage.prompt_tokens > 3


async def heard(client, request, service=None, kill_at=()):
    """Tokens and log-probabilities of a stream, whose worker is killed when so many tokens were said.

    A worker is far ahead of its reader: streams must be long, and kills early, to meet it at work.
    """
    tokens, logprobs, kills, dead = [], [], list(kill_at), set()
    async for answer in client.generate(request):
        if isinstance(answer, Completion):
            assert answer.token_ids == tuple(tokens)
            return answer.token_ids, logprobs
        tokens += answer.token_ids
        logprobs += answer.logprobs
        if kills and len(tokens) >= kills[0] and (alive := set(children(service.pid)) - dead):
            del kills[0]
            dead |= alive
            os.kill(alive.pop(), signal.SIGKILL)
    raise AssertionError("the stream ended without an account")


async def test_a_stream_goes_on_when_its_worker_is_killed(manifest, service, client):
    tokens, _ = await heard(client, ask(max_tokens=800), service, kill_at=[20])
    assert tokens == reference(manifest, 800)


async def test_a_sampled_stream_is_the_same_when_its_worker_is_killed_and_every_logprob_comes_once(service, client):
    sampling = Sampling(temperature=0.9, top_p=0.95, seed=7)
    request = ask(max_tokens=500, sampling=sampling, output=Output(logprobs=2))
    tokens, logprobs = await heard(client, request)
    again, repeated = await heard(client, request, service, kill_at=[20, 60])
    assert again == tokens
    assert [each.token_id for each in repeated] == [each.token_id for each in logprobs] == list(tokens)
    expected = [each.logprob for each in logprobs]
    assert [each.logprob for each in repeated] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
async def test_workers_do_not_outlive_a_scheduler_that_was_killed(manifest):
    async with ServedProcess(["--pool", str(manifest)], QUICK) as doomed:
        workers = children(doomed.pid)
        os.kill(doomed.pid, signal.SIGKILL)
        await doomed.wait()
        async with asyncio.timeout(15.0):
            while any(running(pid) for pid in workers):
                await asyncio.sleep(0.05)


async def test_a_service_that_cannot_start_says_why(tmp_path):
    with pytest.raises(SetupError, match=r"nowhere\.yaml"):
        async with ServedProcess(["--pool", str(tmp_path / "nowhere.yaml")]):
            pass
