"""The whole loop: a service captures, the draft of its weakest class learns, the service takes the new version up."""

import asyncio
import json

from typer.testing import CliRunner

from specsched.bench.served import ServedProcess
from specsched.cli.main import app
from specsched.client import Client
from specsched.client.admin import AdminClient
from specsched.policy.settings import PolicySettings
from specsched.pool.manifest import load_pool
from specsched.records import ChatMessage, ChatPrompt, Request, Sampling, SpeculationHint, Stopping
from tests.helpers.pools import save_pool
from tests.helpers.tiny import perturbed, tiny_network

REQUESTS = 20


def configuration(folder):
    """Write a configuration under which text and acceptance are kept."""
    quick = {"flush_seconds": 0.05}
    tree = {
        "workers": {"profile_seconds": 0.2},
        "telemetry": {
            "capture": {"directory": str(folder / "capture"), "tenants": ["default"], **quick},
            "jsonl": {"directory": str(folder / "records"), **quick},
        },
    }
    file = folder / "specsched.yaml"
    file.write_text(json.dumps(tree))
    return file


def ask(number, prompt_class="code"):
    text = f"add {number} to the cat's mat and say what came of it"
    return Request(
        f"r{number}",
        ChatPrompt((ChatMessage("user", text),)),
        sampling=Sampling(temperature=0.8 * (number % 2), seed=number),
        stopping=Stopping(max_tokens=40),
        speculation=SpeculationHint(draft_model="draft", num_speculative_tokens=3),
        prompt_class=prompt_class,
    )


async def written(folder, lines):
    """Wait until the sinks have written what is on its way."""
    while sum(len(file.read_text().splitlines()) for file in folder.glob("*.jsonl")) < lines:
        await asyncio.sleep(0.05)


def refreshed(manifest, folder):
    """Type the command at the files; returns what it says."""
    few = ["--tokens", "5000", "--prompts", "24", "--max-new-tokens", "40", "--adopt", "--json"]
    source = ["--records", str(folder / "records"), "--from-capture", str(folder / "capture")]
    done = CliRunner().invoke(app, ["models", "refresh", "--pool", str(manifest), *source, *few])
    assert done.exit_code == 0, done.output
    return json.loads(done.output[done.output.index("{\n") :])


async def test_a_running_service_takes_up_what_a_draft_has_learnt_from_it(tmp_path):
    manifest = save_pool(tmp_path)
    worse = perturbed(tiny_network("llama", vocab=320, spread=0.5), 0.1)
    worse.save_pretrained(tmp_path / "draft")
    async with (
        ServedProcess(["--pool", str(manifest), "--config", str(configuration(tmp_path))]) as served,
        Client(served.address) as client,
        AdminClient(served.admin_address) as admin,
    ):
        for number in range(REQUESTS):  # one by one: what is held out goes by the order in which text was captured
            await client.complete(ask(number))
        await written(tmp_path / "capture", REQUESTS)
        await written(tmp_path / "records", REQUESTS)
        (old,) = {draft.version for draft in (await admin.drafts()).drafts if draft.id == "draft"}
        known = {row.mode: row for row in (await admin.policy()).cells if row.draft_model == "draft"}
        assert max(row.rounds for row in known.values()) > 2 * PolicySettings().kin_strength

        said = await asyncio.to_thread(refreshed, manifest, tmp_path)
        assert said["classes"] == ["code"]
        assert said["after"] > said["before"]
        assert said["adopted"]
        assert load_pool(manifest).drafts[0].path.name == f"draft-{said['sha256'][:12]}"

        await admin.load_draft("draft")
        (new,) = {draft.version for draft in (await admin.drafts()).drafts if draft.id == "draft"}
        assert (new, new != old) == (said["sha256"][:12], True)
        for row in (await admin.policy()).cells:
            assert row.rounds <= PolicySettings().kin_strength + 1e-6, "the old version's evidence is a hint"
            assert abs(row.hazards[0].mean - known[row.mode].hazards[0].mean) < 0.1
        decision = await client.decide(ask(1))
        assert decision.plan.draft_model == "draft"
        (score,) = [score for score in decision.plan.scores if score.gamma == 3]
        assert score.goodput_low < score.goodput_tokens_per_second < score.goodput_high
        better = await client.complete(ask(1))
        assert better.speculation.num_accepted_draft_tokens > 0
