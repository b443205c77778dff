"""What was learnt comes back: the same beliefs after a restart, a little of them after new weights."""

import sqlite3

import numpy as np
import pytest

from specsched.errors import ConfigError
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import DecisionContext, Observation
from specsched.policy.fixed import FixedPolicy
from specsched.policy.memory import Cell, Learner
from specsched.policy.settings import PolicySettings
from specsched.policy.sqlite import SqliteStore
from specsched.records import ClassProbabilities, RoundRecord
from tests.policy.grids import grid

CLASSES = ("chat", "code")
VERSIONS = {"good": "1111"}
GREEDY = (False, True)
NO_DATABASE = b"whatever its name says, this is no database" * 40
ONLY_A_HEADER = b"SQLite format 3\0" * 300


def policy(**fields):
    return AdaptivePolicy(PolicySettings(), fields.get("classes", CLASSES), 0, fields.get("versions", VERSIONS))


def taught():
    learner = policy()
    for number, accepted in enumerate((3, 1, 2, 0, 3) * 20):
        record = RoundRecord("good", 3, accepted, 1, 0.1, 0.1, planned_gamma=3)
        pi = ClassProbabilities(CLASSES, (0.75, 0.25))
        learner.observe(Observation(str(number), pi, sampled=False, coupled=True, round=record))
    return learner


def hazards(learner):
    pi = ClassProbabilities.certain("chat", CLASSES)
    context = DecisionContext(pi, sampled=False, coupled=True, drafts=("good",), costs=grid(drafts=("good",)))
    (candidate,) = learner.decide(context).candidates
    return np.array([(belief.a, belief.b) for belief in candidate.hazards])


def test_a_restart_forgets_nothing(tmp_path):
    before = taught()
    SqliteStore(tmp_path / "state" / "policy.sqlite").save(before.export())
    after = policy()
    after.restore(SqliteStore(tmp_path / "state" / "policy.sqlite").load())
    assert hazards(after) == pytest.approx(hazards(before))
    assert set(after.export()) == set(before.export())


def test_new_weights_start_from_their_kin_with_few_counts():
    before, other = taught(), policy(versions={"good": "2222"})
    other.restore(before.export())
    known, kin = hazards(before)[0], hazards(other)[0]
    assert kin[0] / kin.sum() == pytest.approx(known[0] / known.sum(), abs=0.05)
    assert kin.sum() < known.sum() / 3


def test_cells_of_classes_that_are_gone_are_left_out():
    narrow = AdaptivePolicy(PolicySettings(max_gamma=2), ("code",), 0, VERSIONS)
    narrow.restore(taught().export())
    assert {(cell.prompt_class, cell.position) for cell in narrow.export()} == {("code", 1), ("code", 2)}


def test_only_policies_that_learn_are_learners():
    assert isinstance(policy(), Learner)
    assert not isinstance(FixedPolicy("good", 3), Learner)


def test_saving_replaces_what_was_kept(tmp_path):
    store = SqliteStore(tmp_path / "policy.sqlite")
    cell = Cell(*GREEDY, "good", "1", "chat", 1, 2.0, 3.0)
    store.save([cell, cell])
    store.save([cell])
    assert store.load() == (cell,)


@pytest.mark.parametrize("content", [NO_DATABASE, ONLY_A_HEADER])
def test_a_damaged_file_is_set_aside_and_the_service_goes_on(tmp_path, content):
    path = tmp_path / "policy.sqlite"
    path.write_bytes(content)
    store = SqliteStore(path)
    assert store.load() == ()
    assert (tmp_path / "policy.sqlite.damaged-1").read_bytes() == content
    store.save(taught().export())
    assert store.load()


def test_a_newer_schema_is_set_aside_too(tmp_path):
    path = tmp_path / "policy.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    assert SqliteStore(path).load() == ()
    assert (tmp_path / "policy.sqlite.damaged-1").exists()


def test_a_save_that_fails_leaves_what_was_kept(tmp_path):
    store = SqliteStore(tmp_path / "policy.sqlite")
    store.save(taught().export())
    kept = store.load()
    with pytest.raises(sqlite3.Error):
        store.save([Cell(*GREEDY, "good", "1", "chat", object(), 1.0, 1.0)])
    assert store.load() == kept


def test_a_place_where_one_cannot_write_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"store\.path"):
        SqliteStore(tmp_path / "file" / "policy.sqlite")
