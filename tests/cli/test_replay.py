"""Paths recorded once, replayed exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from specsched.bench.evaluation.contenders import Contender
from specsched.bench.evaluation.drive import Drive
from specsched.bench.evaluation.oracles import ScriptedPolicy, play
from specsched.bench.evaluation.static import PLAIN, StaticTimes, static_arms
from specsched.bench.replay.headroom import headroom
from specsched.bench.replay.priors import prior_cells
from specsched.bench.replay.recording import Folder
from specsched.bench.replay.scenarios import PLOTS, Replayed, chosen_paths, grid_like, with_drafts, without_looping
from specsched.classify.fake import FixedClassifier
from specsched.cli.main import app
from specsched.cli.replay import Costs, Half, Told
from specsched.cli.replay import recorded as scenarios
from specsched.cli.stores import make_store
from specsched.config.tree import Config
from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.errors import SetupError
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.prompts import draw_prompts, load_prompts
from specsched.policy.base import Arm
from specsched.policy.controller import PlannedController
from specsched.pool.manifest import load_pool
from specsched.records import NO_DRAFT, Job, Plan, Sampling
from tests.helpers.pools import save_pool

TOKENS = 40
OPTIONS = ["--per-class", "2", "--max-tokens", str(TOKENS), "--max-gamma", "4", "--profile-seconds", "0.5"]
STOPPING = "id: stopping, path: draft, stop_below_share: 0.2"
ARMS = [
    *(Arm("draft", 4), Arm("draft", 1), Arm("ngram", 3), Arm(NO_DRAFT, 0)),
    *(Arm("copying", 4), Arm("copying", 2), Arm("stopping", 4)),
]
TEXTS = ["the cat sat on the mat, the cat sat on", "def add(a, b):", "a stop string", "naive cafe"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, texts in (("chat", TEXTS[:2]), ("code", TEXTS[2:])):
        lines = [json.dumps({"category": name, "prompt": text}) for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A draft, prompt lookup, a draft that copies first and stops when unsure, and one that only stops."""
    manifest = save_pool(tmp_path_factory.mktemp("replayed"), seed=1)  # a target that repeats itself now and then
    further = "{id: ngram, kind: ngram}, {id: copying, path: draft, copy_match_tokens: 4, stop_below_share: 0.3}"
    text = manifest.read_text().replace("{id: ngram, kind: ngram}", f"{further}, {{{STOPPING}}}")
    manifest.write_text(text)
    return manifest


@pytest.fixture(scope="module")
def recorded(pool, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recording")
    command = ["replay", "record", "--pool", str(pool), "--data", str(data), "--out", str(folder), *OPTIONS]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return folder


class Noting(PlannedController):
    """Plays the plans; keeps what a round showed, without its times."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def observe(self, request_id, round_record):
        self.shown.append(replace(round_record, propose_seconds=0.0, verify_seconds=0.0))


def replayed(recording, arm):
    """Rounds of every greedy path, one after the other."""
    greedy = replace(recording, paths=[path for path in recording.paths if not path.sampled])
    world = Replayed(PLOTS["stationary"], greedy, recording.costs, 1).world(0)
    requests = [replace(world.requests[0], path=p.path, prompt_tokens=p.prompt_tokens) for p in greedy.paths]
    noting = Noting()
    Drive(replace(world, requests=requests), ScriptedPolicy([arm] * len(requests)), noting).run()
    return noting.shown


def really_run(manifest, data, arm):
    """The same by the engine itself."""
    pool, noting = load_pool(manifest), Noting()
    engine = load_engine(pool, EngineSettings(max_rows=1, profile_seconds=0.1), lambda _costs: noting)
    target = load_language_model(pool.target.path)
    drawn = draw_prompts(target, load_prompts(data), 2, max_prompt_tokens=target.context_tokens - TOKENS, seed=0)
    for number, (_, _, ids) in enumerate(drawn):
        plan = Plan(arm.draft_model, arm.gamma, arm.gamma)
        job = Job(f"run-{number}", ids, Sampling(temperature=0.0), plan, 0, max_tokens=TOKENS)
        engine.submit(job, lambda _chunk: None)
        while engine.step():
            pass
    return noting.shown


@pytest.mark.parametrize("arm", ARMS)
def test_a_replayed_policy_is_the_real_run_round_by_round(recorded, pool, data, arm):
    ours, theirs = replayed(Folder(recorded).load(), arm), really_run(pool, data, arm)
    assert [record.num_accepted for record in ours] == [record.num_accepted for record in theirs]
    assert ours == theirs
    assert arm.gamma == 0 or any(record.num_accepted for record in ours)


def test_sampled_rounds_have_the_law_that_was_recorded(recorded):
    recording = Folder(recorded).load()
    (path, *_) = [path.path for path in recording.paths if path.sampled]
    world = Replayed(PLOTS["stationary"], recording, recording.costs, 1).world(0)
    world = replace(world, requests=[replace(world.requests[0], path=path, sampled=True)] * 600)
    times = StaticTimes(world)
    played, expected = times.played(), times.expected()[0]
    assert path.overlaps is not None
    assert 0 < path.hazards[0].mean() < 1
    assert played.mean(0) == pytest.approx(expected, abs=5 * played.std(0).max() / 600**0.5 + 1e-12)
    assert len(expected) == len(static_arms(world))


def test_a_recording_that_was_cut_off_goes_on_and_is_the_same(recorded, pool, data, tmp_path):
    command = ["replay", "record", "--pool", str(pool), "--data", str(data), "--out", str(tmp_path), *OPTIONS]
    assert CliRunner().invoke(app, command).exit_code == 0
    (tmp_path / "part-0000.npz").unlink()
    with pytest.raises(SetupError, match="0 of 1 parts"):
        Folder(tmp_path).load()
    assert CliRunner().invoke(app, command).exit_code == 0
    for ours, theirs in zip(Folder(tmp_path).load().paths, Folder(recorded).load().paths, strict=True):
        assert np.array_equal(ours.hazards, theirs.hazards)
        assert ours.probabilities == theirs.probabilities


def test_a_recording_with_other_options_is_left_alone(recorded, pool, data):
    command = ["replay", "record", "--pool", str(pool), "--data", str(data), "--out", str(recorded), *OPTIONS]
    done = CliRunner().invoke(app, [*command, "--seed", "7"])
    assert done.exit_code == 2
    assert "another seed" in done.output


def test_drafts_can_be_left_out(recorded):
    recording = Folder(recorded).load()
    few = with_drafts(recording, ("ngram", "draft"))
    assert replayed(few, Arm("draft", 4)) == replayed(recording, Arm("draft", 4))
    done = CliRunner().invoke(app, ["replay", "headroom", str(recorded), "--draft", "ghost"])
    assert done.exit_code == 2
    assert "'ghost': give one of draft, ngram, copying, stopping" in done.output


@pytest.mark.parametrize("name", PLOTS)
def test_every_scenario_plays_every_token(recorded, name):
    recording = Folder(recorded).load()
    world = Replayed(PLOTS[name], recording, grid_like("gpu", recording), 16).world(1)
    run = Drive(world, ScriptedPolicy([Arm("draft", 2)] * 16), PlannedController()).run()
    assert run.request_tokens.tolist() == [request.completion_tokens for request in world.requests]
    assert (world.drift is not None) == (name in ("phase_shift", "new_class", "draft_swapped"))


def test_halves_share_no_prompt(recorded):
    recording = Folder(recorded).load()
    tune, report = (chosen_paths(recording, which).paths for which in ("tune", "report"))
    assert {path.prompt for path in tune} == {0, 2}
    assert {path.prompt for path in report} == {1, 3}


def test_loops_can_be_left_out(recorded):
    recording = Folder(recorded).load()
    looping = replace(recording, paths=[replace(path, repeated=0.5) for path in recording.paths])
    with pytest.raises(SetupError, match="no recorded path"):
        without_looping(looping)
    assert len(without_looping(recording).paths) == len(recording.paths)


def test_the_command_scores_policies(recorded, tmp_path):
    file = tmp_path / "out.json"
    few = ["--seeds", "2", "--requests", "30", "--scenario", "phase_shift", "--scenario", "stationary"]
    command = ["replay", "run", str(recorded), *few, "--policy", "adaptive", "--policy", "ema:draft"]
    done = CliRunner().invoke(app, [*command, "--json", str(file)])
    assert done.exit_code == 0, done.output
    tree = json.loads(file.read_text(encoding="utf-8"))
    assert {check["name"] for check in tree["checks"]} >= {"percent_of_oracle", "headroom_class_over_global"}
    assert {row["policy"] for row in tree["tables"]["scores"]} == {"adaptive", "ema:draft"}


def test_priors_are_what_rounds_of_full_depth_show(recorded):
    recording = Folder(recorded).load()
    greedy = replace(recording, paths=[path for path in recording.paths if path.prompt == 0 and not path.sampled])
    cells = {(cell.draft_model, cell.position): cell for cell in prior_cells(greedy, {"draft": "v1"})}
    (path,) = greedy.paths
    for draft, name in enumerate(recording.head.drafts):
        stands, reached = np.zeros(4), np.zeros(4)
        for place in range(path.hazards.shape[1]):
            for j in range(min(4, path.hazards.shape[1] - place)):
                reached[j] += 1
                if j >= path.offered[draft, place] or not path.hazards[draft, place, j]:
                    break
                stands[j] += 1
        for j in np.flatnonzero(reached).tolist():
            cell = cells.pop((name, j + 1))
            assert cell.accepted == pytest.approx(stands[j] / reached[j])
            assert (cell.accepted + cell.rejected, cell.sampled, cell.coupled) == (pytest.approx(1), False, True)
            assert cell.draft_version == ("v1" if name == "draft" else "")
    assert not cells


def test_a_replay_may_begin_with_what_the_other_half_shows(recorded):
    def told(half, priors):
        ready, _ = scenarios(Folder(recorded).load(), half, priors, Costs.MEASURED, 30)
        return ready["stationary"].world(0).priors

    assert told(Half.REPORT, Told.NONE) == told(Half.ALL, Told.OTHER) == ()
    of_tune, of_report = told(Half.REPORT, Told.OTHER), told(Half.TUNE, Told.OTHER)
    assert of_tune != of_report
    assert {cell.prompt_class for cell in of_tune} == {"chat", "code"}
    world = Replayed(PLOTS["stationary"], Folder(recorded).load(), Folder(recorded).load().costs, 30).world(0)
    ours = Contender("adaptive").run(world)
    assert Contender("adaptive").run(replace(world, priors=of_tune)).seconds != ours.seconds
    assert Contender("plain").run(replace(world, priors=of_tune)).seconds > 0  # learns nothing, is told nothing


def test_priors_of_a_recording_are_the_pools_own_until_its_weights_change(recorded, pool, tmp_path):
    manifest = tmp_path / "pool.yaml"
    absolute = pool.read_text().replace("path: ", f"path: {pool.parent}/")
    manifest.write_text(f"{absolute}\npriors: priors.json\n")
    command = ["replay", "priors", str(recorded), "--out", str(tmp_path / "priors.json"), "--pool", str(manifest)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    cells = make_store(Config(), load_pool(manifest), FixedClassifier()).load()
    assert {cell.draft_model for cell in cells} == {"draft", "ngram", "copying", "stopping"}
    manifest.write_text(manifest.read_text().replace("stop_below_share: 0.2", "stop_below_share: 0.1"))
    left = make_store(Config(), load_pool(manifest), FixedClassifier()).load()
    assert {cell.draft_model for cell in left} == {"draft", "ngram", "copying"}
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "other weights were recorded" in refused.output


def test_the_command_says_what_there_is_to_adapt_to(recorded, tmp_path):
    file = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["replay", "headroom", str(recorded), "--json", str(file)])
    assert done.exit_code == 0, done.output
    tree = json.loads(file.read_text(encoding="utf-8"))
    assert tree["checks"][0]["name"] == "headroom_class_over_global"
    cells = [row for row in tree["tables"]["headroom"] if row["costs"] == "float32"]
    assert {(row["class"], row["temperature"]) for row in cells} == {
        *(("chat", "greedy"), ("chat", "sampled"), ("code", "greedy"), ("code", "sampled"), ("all", "both"))
    }
    assert all(row["over_plain"] >= row["global_arm_over_plain"] for row in cells)
    overall = cells[-1]
    gain = overall["over_plain"] / overall["global_arm_over_plain"] - 1
    assert tree["checks"][0]["value"] == pytest.approx(gain)


def test_headroom_is_what_the_best_arms_take_when_they_are_played(recorded):
    paths = Folder(recorded).load()
    greedy = replace(paths, paths=[path for path in paths.paths if not path.sampled])
    found = headroom(greedy, greedy, paths.costs)
    for (prompt_class, _), gain in found.cells.items():
        of_class = replace(greedy, paths=[path for path in greedy.paths if path.prompt_class == prompt_class])
        world = Replayed(PLOTS["stationary"], of_class, paths.costs, 1).world(0)
        requests = [replace(world.requests[0], path=p.path, prompt_tokens=p.prompt_tokens) for p in of_class.paths]
        plain, best = (
            play(replace(world, requests=requests), [arm] * len(requests)).seconds for arm in (PLAIN, gain.arm)
        )
        assert gain.over_plain == pytest.approx(plain / best)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "part-0000.npz").write_bytes(b"PK nothing"), "damaged"),
        (lambda folder: (folder / "recording.json").write_text("{}"), "damaged"),
        (lambda folder: (folder / "recording.json").unlink(), "no recording"),
    ],
)
def test_a_bad_recording_is_one_line(recorded, tmp_path, spoil, said):
    for file in recorded.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    spoil(tmp_path)
    done = CliRunner().invoke(app, ["replay", "run", str(tmp_path)])
    assert done.exit_code == 2
    assert said in done.output
