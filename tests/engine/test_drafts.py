"""Drafts come and go while rows run: the tokens stay the target's."""

import threading

import pytest

from specsched.engine.drafts import LoadedDraft
from specsched.engine.load import load_engine
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.settings import EngineSettings
from specsched.errors import InvalidRequest, PoolError
from specsched.policy.controller import PlannedController
from specsched.pool.manifest import load_pool
from specsched.records import ModelInfo
from tests.helpers.pools import save_pool
from tests.helpers.tiny import Collected, always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network()
DRAFT = perturbed(TARGET, 0.02)
PLAIN = run(engine_of(TARGET), [job([1, 2, 3], max_tokens=60)])["r"].tokens


def loaded(name, network=DRAFT):
    """Another engine's draft: its model is as good as one from disk."""
    model = engine_of(TARGET, {name: network})._proposers[name].model
    return LoadedDraft(ModelInfo(name, "model", version="2"), DraftModelProposer(name, model))


def residencies(engine):
    return {draft.id: draft.residency for draft in engine.describe().drafts}


def test_a_draft_is_loaded_beside_running_rows_and_used_from_the_next_step_on():
    gate = threading.Event()

    def slowly(name):
        gate.wait(10)
        return loaded(name)

    controller = always("late", 3)
    engine = engine_of(TARGET, controller=controller, load=slowly)
    out = Collected()
    engine.submit(job([1, 2, 3], max_tokens=60), out.chunks.append)
    engine.step()
    loading = engine.load_draft("late")
    engine.step()
    gate.set()
    loading.result(10)
    assert residencies(engine)["late"] == "resident"
    while engine.step():
        pass
    assert out.tokens == PLAIN
    assert [record.draft_model for record in controller.observed["r"]][:3] == ["none", "none", "late"]
    engine.check_integrity()


def test_a_draft_that_is_unloaded_under_a_row_leaves_it_plain_and_one_that_comes_back_is_caught_up():
    controller = always("d", 3)
    engine = engine_of(TARGET, {"d": DRAFT}, controller, load=loaded)
    out = Collected()
    engine.submit(job([1, 2, 3], max_tokens=60), out.chunks.append)
    engine.step()
    engine.unload_draft("d")
    assert residencies(engine) == {"d": "evicted", "ngram": "resident"}
    engine.step()
    engine.load_draft("d").result(10)
    while engine.step():
        pass
    assert out.tokens == PLAIN
    assert [record.draft_model for record in controller.observed["r"]][:3] == ["d", "none", "d"]
    assert sum(record.num_accepted for record in controller.observed["r"][2:]) > 10


def test_a_load_that_fails_is_told_and_what_was_there_stays():
    def broken(name):
        raise PoolError(f"{name}: damaged")

    engine = engine_of(TARGET, {"d": DRAFT}, load=broken)
    with pytest.raises(PoolError, match="damaged"):
        engine.load_draft("d").result(10)
    engine.step()
    assert residencies(engine)["d"] == "resident"
    with pytest.raises(InvalidRequest):
        engine.unload_draft("ghost")
    with pytest.raises(InvalidRequest, match="'ghost' is not in the pool"):
        engine_of(TARGET).load_draft("ghost").result(10)


def test_a_draft_that_is_unloaded_while_it_loads_does_not_come_back():
    gate = threading.Event()

    def slowly(name):
        gate.wait(10)
        return loaded(name)

    engine = engine_of(TARGET, {"d": DRAFT}, load=slowly)
    loading = engine.load_draft("d")
    assert residencies(engine)["d"] == "loading"
    engine.unload_draft("d")
    gate.set()
    loading.result(10)
    assert residencies(engine)["d"] == "evicted"


def test_loading_again_takes_in_a_new_version_and_what_the_manifest_says_now(tmp_path):
    manifest = save_pool(tmp_path)
    engine = load_engine(load_pool(manifest), EngineSettings(profile_seconds=0), lambda _costs: PlannedController())
    before = {draft.id: draft for draft in engine.describe().drafts}
    perturbed(tiny_network("llama", vocab=320, spread=0.5), 0.5).save_pretrained(tmp_path / "draft")
    manifest.write_text(manifest.read_text().replace("path: draft}", f"path: draft, sha256: {'a' * 64}}}"))
    with pytest.raises(PoolError, match="SHA-256"):
        engine.load_draft("draft").result(20)
    manifest.write_text(manifest.read_text().replace(f", sha256: {'a' * 64}", ""))
    engine.load_draft("draft").result(20)
    after = {draft.id: draft for draft in engine.describe().drafts}
    assert after["draft"].version != before["draft"].version
    assert after["draft"].memory_bytes == before["draft"].memory_bytes > 0


def test_a_draft_may_copy_first_and_stop_when_unsure_as_the_manifest_says(tmp_path):
    manifest = save_pool(tmp_path)
    wanted = "path: draft, copy_match_tokens: 4, stop_below_share: 0.999}"
    manifest.write_text(manifest.read_text().replace("path: draft}", wanted))
    controller = always("draft", 6)
    engine = load_engine(load_pool(manifest), EngineSettings(profile_seconds=0), lambda _costs: controller)
    repeated, unheard = [7, 8, 9, 10, 11] * 3, [12, 40, 3]
    run(engine, [job(repeated, request_id="copied", max_tokens=8), job(unheard, request_id="drafted", max_tokens=8)])
    first = {name: records[0].gamma for name, records in controller.observed.items()}
    assert first == {"copied": 6, "drafted": 1}
    (told,) = (draft for draft in engine.describe().drafts if draft.id == "draft")
    assert told.kind == "composite"
    assert told.version.endswith("+copy_match_tokens=4+stop_below_share=0.999"), "accepted otherwise: another version"
