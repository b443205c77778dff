import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from specsched.modelkit.packing import PackedStream
from specsched.modelkit.tokens import Documents


def documents(lengths: list[int], first: int = 0) -> Documents:
    starts = np.cumsum([0, *lengths])
    return Documents(np.arange(first, first + starts[-1], dtype=np.uint16), starts)


DATA = {"a": documents([3, 5, 2]), "b": documents([4, 4], first=100)}


def test_classes_take_turns():
    windows = PackedStream(DATA, seed=1).batch(rows=6, window=4)
    assert [int(row[0]) // 100 for row in windows] == [0, 1, 0, 1, 0, 1]


def test_an_epoch_holds_every_token_once_and_the_next_has_another_order():
    stream = PackedStream({"a": DATA["a"]}, seed=1)
    first, second = stream.batch(1, 10)[0], stream.batch(1, 10)[0]
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


@given(st.integers(0, 30), st.integers(1, 7), st.integers(0, 5))
def test_a_stream_goes_on_from_its_state(windows, window, seed):
    undisturbed, before, after = (PackedStream(DATA, seed, documents([8], first=200), share=0.3) for _ in range(3))
    for _ in range(windows):
        undisturbed.batch(1, window)
        before.batch(1, window)
    after.state = before.state
    assert np.array_equal(after.batch(5, window), undisturbed.batch(5, window))


def test_repeats_have_their_share_and_the_classes_still_take_turns():
    windows = PackedStream(DATA, 1, documents([8], first=200), share=0.25).batch(rows=12, window=4)
    assert [int(row[0]) // 100 for row in windows] == [0, 1, 0, 2, 1, 0, 1, 2, 0, 1, 0, 2]
