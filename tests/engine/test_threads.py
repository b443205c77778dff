import pytest
import torch

from specsched.engine.threads import REPEATS, rehearse, settle_threads
from tests.helpers.tiny import engine_of, tiny_network


class Machine:
    """A clock, and work that takes as long as its number of threads says."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds = seconds
        self.threads: list[int] = []
        self.now = 0.0

    def work(self) -> None:
        self.now += self.seconds[self.threads[-1]]

    def clock(self) -> float:
        return self.now


@pytest.fixture
def kept_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("together", "chosen"), [(0.5, 4), (0.95, 1), (1.0, 1), (10.0, 1)])
def test_all_threads_must_be_clearly_faster_than_one(together: float, chosen: int) -> None:
    machine = Machine({1: 1.0, 4: together})
    found = rehearse(machine.work, 4, clock=machine.clock, set_threads=machine.threads.append)
    assert found.threads == chosen
    assert (found.alone_seconds, found.together_seconds) == pytest.approx((1.0, together))


def test_both_take_turns() -> None:
    machine = Machine({1: 1.0, 2: 1.0})
    rehearse(machine.work, 2, clock=machine.clock, set_threads=machine.threads.append)
    assert machine.threads == [1, 2, 2, 1] * (1 + REPEATS)


@pytest.mark.usefixtures("kept_threads")
@pytest.mark.parametrize(("asked", "had", "allowed"), [(2, 1, {2}), (1, 2, {1}), (0, 1, {1}), (0, 2, {1, 2})])
def test_what_is_asked_for_stands_and_nothing_else_is_left_behind(asked: int, had: int, allowed: set[int]) -> None:
    engine = engine_of(tiny_network())
    torch.set_num_threads(had)
    settle_threads(asked, engine._target, max_rows=4)
    assert torch.get_num_threads() in allowed
    engine.check_integrity()
