"""Whatever stands in the configuration or in the store, it is read, or refused in one line."""

import contextlib
import random
import sqlite3

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specsched.config.load import load_config
from specsched.config.tree import Config
from specsched.errors import SetupError
from specsched.policy.memory import Cell
from specsched.policy.sqlite import SqliteStore

SECTIONS = {name: list(field.annotation.model_fields) for name, field in Config.model_fields.items()}
CELL = Cell(
    sampled=True,
    coupled=False,
    draft_model="draft",
    draft_version="v",
    prompt_class="chat",
    position=1,
    accepted=3.0,
    rejected=1.0,
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(("1e400", ".nan", "127.0.0.1:0", "unix:/x", "adaptive", "-1", "0x10")),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=5,
)
sections = st.sampled_from(sorted(SECTIONS)).flatmap(
    lambda name: st.tuples(st.just(name), st.dictionaries(st.sampled_from(SECTIONS[name]), values, max_size=3))
)
trees = st.lists(sections, max_size=3).map(dict)
documents = (
    trees.map(lambda tree: yaml.safe_dump(tree).encode())
    | st.binary(max_size=80)
    | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass"))
)

quick = settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
full = settings(quick, max_examples=6_000)


def reads(folder, document):
    file = folder / "specsched.yaml"
    file.write_bytes(document)
    with contextlib.suppress(SetupError):
        config = load_config(file, {})
        assert Config.model_validate(config.model_dump()) == config


def test_any_configuration_is_read_or_refused(tmp_path):
    quick(given(documents)(lambda document: reads(tmp_path, document)))()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_any_configuration_is_read_or_refused_at_length(tmp_path):
    full(given(documents)(lambda document: reads(tmp_path, document)))()


def damaged(folder, number, seed):
    """A store that was written and then hit by chance: bytes changed, cut, or replaced by anything."""
    path = folder / f"{number}.sqlite"
    SqliteStore(path).save([CELL])
    rng = random.Random(seed)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((0, 1, 4, 64))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    path.write_bytes(rng.randbytes(rng.randrange(200)) if rng.random() < 0.1 else data)
    return path


def survives(folder, number, seed):
    path = damaged(folder, number, seed)
    try:
        store = SqliteStore(path)
        store.load()
        store.save([CELL])
        assert store.load() == (CELL,)
    finally:
        for left in folder.glob(f"{number}.sqlite*"):
            left.unlink()


def test_a_store_that_was_hit_by_chance_never_ends_the_service(tmp_path):
    for number in range(60):
        survives(tmp_path, number, number)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_store_that_was_hit_by_chance_never_ends_the_service_at_length(tmp_path):
    for number in range(3_000):
        survives(tmp_path, number, 1_000 + number)
