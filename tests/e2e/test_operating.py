"""What an operator types at a running service."""

import asyncio
import json

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from typer.testing import CliRunner

from specsched.classify.fake import NotedFeedback
from specsched.cli.main import app
from specsched.policy.exchange import cells_from_json
from tests.helpers.operated import CONFIG, operated_service

RUNNER = CliRunner()
LABELS = NotedFeedback()

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory):
    with capture_logs():  # else they would stand in what the commands say
        async with operated_service(tmp_path_factory.mktemp("service"), feedback=LABELS) as running:
            yield running


@pytest.fixture
def typed(service):
    """Type a command at the service; returns what it said."""

    async def run(*arguments, code=0):
        command = [*arguments, "--address", service.admin.address]
        done = await asyncio.to_thread(RUNNER.invoke, app, command)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    return run


async def test_configurations_are_reloaded_listed_and_rolled_back(service, typed, tmp_path):
    file = tmp_path / "new.yaml"
    file.write_text(CONFIG.replace("2", "5"))
    assert "policy.gamma" in await typed("config", "reload", str(file), "--dry-run")
    assert json.loads(await typed("config", "reload", str(file), "--json")) == [
        {"field": "policy.gamma", "before": "2", "after": "5"}
    ]
    assert "gamma: 5" in await typed("config", "show")
    assert [v["origin"] for v in json.loads(await typed("config", "history", "--json"))] == ["call", "start"]
    assert "policy.gamma" in await typed("config", "rollback")
    assert "nothing differs" in await typed("config", "reload")


async def test_a_refused_reload_is_one_line_with_every_field(typed, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("policy: {gamma: 99}\nworkers: {cout: 2}")
    said = await typed("config", "reload", str(file), code=2)
    assert said.count("\n") == 1
    assert "policy.gamma" in said
    assert "workers.cout" in said


async def test_drafts_are_listed_and_switched(typed):
    assert await typed("drafts", "set-state", "draft", "draining") == "draft is draining\n"
    listed = json.loads(await typed("drafts", "list", "--json"))
    assert {draft["id"]: draft["state"] for draft in listed["drafts"]} == {"draft": "draining", "ngram": "active"}
    await typed("drafts", "set-state", "draft", "active")
    assert await typed("speculation", "off") == "speculation is off\n"
    assert "switched off for all" in await typed("drafts", "list")
    await typed("speculation", "on")
    assert "'nobody' is none of" in await typed("drafts", "set-state", "nobody", "active", code=2)


async def test_what_is_learnt_is_shown_exported_imported_and_reset(typed, tmp_path):
    file = tmp_path / "policy.json"
    await typed("policy", "export", str(file))
    assert cells_from_json(file.read_text()) == ()
    assert json.loads(await typed("policy", "show", "--json"))["policy"] == "fixed"
    assert await typed("policy", "import", str(file)) == "0 cells taken up\n"
    assert await typed("policy", "reset", "--class", "code") == "0 cells forgotten\n"
    file.write_text("{}")
    assert "no export of a policy" in await typed("policy", "import", str(file), code=2)


async def test_what_labels_made_of_the_classifier_is_taken_back(typed):
    for _ in range(4):
        LABELS.told("text", "code", "tenant")
    assert await typed("classify", "rollback") == "rolled back to 3 labels\n"
    assert await typed("classify", "rollback", "--all") == "rolled back to 0 labels\n"
    assert await typed("classify", "rollback") == "no correction to take back\n"


@pytest.mark.parametrize("command", [("policy", "show"), ("drafts", "list"), ("config", "history")])
async def test_a_service_that_is_not_there_is_one_line(command, tmp_path):
    done = await asyncio.to_thread(RUNNER.invoke, app, [*command, "--address", f"unix:{tmp_path}/none"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
