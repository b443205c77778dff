"""Replicas that learn together, through a real server and in every order."""

import shutil
import socket
import subprocess
import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.errors import ConfigError
from specsched.policy.memory import Cell
from specsched.policy.redis import GONE_SECONDS, RedisStore
from specsched.policy.shared import Ledger, cells_of, floored, plus, sums_of

redis = pytest.importorskip("redis")
VERSIONS = {"good": "1"}
GREEDY = (False, True)


def cell(accepted, rejected=0.0, position=1, version="1"):
    return Cell(*GREEDY, "good", version, "chat", position, accepted, rejected)


class Replica:
    """A learner that counts, and forgets by a share."""

    def __init__(self, store):
        self.store = store
        self.counts = sums_of(store.load())

    def learn(self, *cells):
        self.counts = plus(self.counts, sums_of(cells))

    def forget(self, share):
        self.counts = {key: (a * share, b * share) for key, (a, b) in self.counts.items()}

    def sync(self):
        news = self.store.sync(cells_of(self.counts))
        self.learn(*news)
        self.store.took(news)

    @property
    def accepted(self):
        return sum(pair[0] for pair in self.counts.values())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)
    yield client, f"redis://127.0.0.1:{port}/0"
    client.close()
    child.terminate()
    child.wait(10)


@pytest.fixture
def url(server):
    client, address = server
    client.flushall()
    return address


def replica(url, identity="same", **options):
    return Replica(RedisStore(url, identity, VERSIONS, **options))


def settle(*replicas):
    for _ in range(2):
        for one in replicas:
            one.sync()


def test_replicas_add_up_and_count_nothing_twice(url):
    one, other = replica(url), replica(url)
    one.learn(cell(3.0, 1.0))
    other.learn(cell(4.0), cell(2.0, position=2))
    settle(one, other)
    settle(one, other)
    assert one.counts == other.counts == sums_of([cell(7.0, 1.0), cell(2.0, position=2)])
    assert replica(url).counts == one.counts


def test_what_one_forgets_is_forgotten_by_all(url):
    one, other = replica(url), replica(url)
    one.learn(cell(100.0))
    settle(one, other)
    other.forget(0.1)  # an alarm
    settle(other, one)
    assert one.accepted == other.accepted == pytest.approx(10.0)


def test_services_of_another_kind_and_other_weights_stay_apart(url):
    one = replica(url)
    one.learn(cell(5.0))
    one.sync()
    assert replica(url, identity="other").counts == {}
    newer = RedisStore(url, "same", {"good": "2"})
    assert newer.load() == (cell(5.0),)  # kin, for the policy to shrink
    assert newer.sync([cell(1.0, version="2")]) == ()
    one.sync()
    assert one.accepted == 5.0


def test_a_replica_that_is_gone_leaves_what_it_learnt(url):
    clock = [0.0]
    gone, stays = (replica(url, clock=lambda: clock[0]) for _ in range(2))
    gone.learn(cell(5.0))
    settle(gone, stays)
    clock[0] = GONE_SECONDS + 1
    settle(stays)
    assert stays.accepted == replica(url).accepted == 5.0
    gone.learn(cell(1.0))  # it was only asleep
    settle(gone, stays)
    assert gone.accepted == stays.accepted == replica(url).accepted == 6.0


def test_a_server_that_lost_everything_gets_it_back_once(server, url):
    one, other = replica(url), replica(url)
    one.learn(cell(5.0))
    settle(one, other)
    server[0].flushall()
    other.learn(cell(1.0))
    settle(one, other)
    assert one.accepted == other.accepted == replica(url).accepted == pytest.approx(6.0)


def test_a_server_that_is_away_fails_soon_and_all_is_written_later(url):
    store = RedisStore("redis://127.0.0.1:1/0", "same", VERSIONS)
    started = time.monotonic()
    assert store.load() == ()
    with pytest.raises(redis.RedisError):
        store.sync([cell(1.0)])
    assert time.monotonic() - started < 3
    late = replica(url)
    late.store._ledger = store._ledger
    late.learn(cell(1.0))
    late.sync()
    assert replica(url).accepted == 1.0


def test_a_frozen_server_is_not_waited_for():
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        store = RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", "same", VERSIONS)
        started = time.monotonic()
        assert store.load() == ()
        assert time.monotonic() - started < 2


def test_a_contribution_that_cannot_be_read_is_left_out(server, url):
    one = replica(url)
    one.learn(cell(5.0))
    one.sync()
    server[0].hset("specsched:policy:1:same", "stranger", "no JSON")
    assert replica(url).accepted == 5.0


def test_a_url_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"store\.redis_url"):
        RedisStore("http://somewhere", "same", VERSIONS)


STEPS = st.lists(st.tuples(st.sampled_from("lfs"), st.integers(0, 2), st.floats(0, 10)), max_size=30)


@given(STEPS)
def test_in_every_order_all_come_to_the_same_sum(steps):
    ledgers, held, written = [Ledger(VERSIONS) for _ in range(3)], [{}, {}, {}], [{}, {}, {}]

    def sync(i):
        written[i] = ledgers[i].changed(cells_of(held[i]))
        total = plus(plus(written[0], written[1]), written[2])
        news = ledgers[i].news(total)
        held[i] = plus(held[i], sums_of(news))
        ledgers[i].took(news)
        return total

    for what, i, amount in steps:
        if what == "l":
            held[i] = plus(held[i], sums_of([cell(amount)]))
        elif what == "f":
            held[i] = {key: (a / 2, b / 2) for key, (a, b) in held[i].items()}
        else:
            sync(i)
    for i in (0, 1, 2) * 2:
        total = floored(sync(i))
    for one in held:
        assert sum(a for a, _ in one.values()) == pytest.approx(sum(a for a, _ in total.values()), abs=1e-6)


def test_a_new_version_takes_nothing_from_what_others_still_run():
    ledger = Ledger(VERSIONS)
    contribution = ledger.changed([cell(8.0)])
    contribution = ledger.changed([cell(2.0, version="2")])
    assert contribution == sums_of([cell(8.0), cell(2.0, version="2")])
    theirs = plus(contribution, sums_of([cell(3.0, version="2"), cell(5.0)]))
    assert ledger.news(theirs) == (cell(3.0, version="2"),)
