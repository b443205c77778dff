"""What one thread puts in comes out on the loop: all of it, in order, however the two take turns."""

import asyncio

from specsched.engine.mailbag import Mailbag


async def test_everything_arrives_in_order_while_the_loop_hands_out():
    bag, queues = Mailbag[int](asyncio.get_running_loop()), [asyncio.Queue[int]() for _ in range(3)]
    putting = asyncio.to_thread(lambda: [bag.put(queues[i % 3], i) for i in range(3000)])
    taking = (asyncio.gather(*(queue.get() for _ in range(1000))) for queue in queues)
    got = await asyncio.wait_for(asyncio.gather(*taking, putting), 10.0)
    assert got[:3] == [list(range(i, 3000, 3)) for i in range(3)]


class Loop:
    """Runs nothing by itself."""

    def __init__(self, *, closed=False):
        self.woken, self.closed = [], closed

    def is_closed(self):
        return self.closed

    def call_soon_threadsafe(self, work):
        assert not self.closed
        self.woken.append(work)


def test_what_comes_together_wakes_the_loop_once():
    loop, queue = Loop(), asyncio.Queue()
    bag = Mailbag[int](loop)
    for item in range(3):
        bag.put(queue, item)
    (hand_out,) = loop.woken
    hand_out()
    assert [queue.get_nowait() for _ in range(3)] == [0, 1, 2]
    bag.put(queue, 3)
    assert len(loop.woken) == 2


def test_a_loop_that_has_ended_is_left_alone():
    Mailbag[int](Loop(closed=True)).put(asyncio.Queue(), 1)
