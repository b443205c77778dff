"""A row that is paused is resumed, in whatever order two threads get there."""

import asyncio
import threading

from specsched.engine.mailbag import Mailbag
from specsched.engine.outbox import Outbox
from specsched.records import Chunk


async def test_the_last_word_after_a_pause_is_the_resume():
    """Orders are those in which the lock was taken: a pause that is posted late would stand for ever."""
    posted = []
    for _ in range(200):
        posted.clear()
        outbox = Outbox(
            Mailbag(asyncio.get_running_loop()),
            lambda: posted.append("pause"),
            lambda: posted.append("resume"),
            capacity=2,
        )
        outbox.put(Chunk((1,)))
        filling = threading.Thread(target=lambda box=outbox: box.put(Chunk((2,))))
        filling.start()
        outbox._taken()
        filling.join()
        outbox._taken()
        assert posted in ([], ["pause", "resume"])
