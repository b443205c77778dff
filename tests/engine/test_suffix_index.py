"""The suffix automaton against a search by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.engine.proposers.suffix_index import MIN_MATCH, REFRESHED, SuffixIndex

TEXTS = st.lists(st.integers(0, 2), max_size=60)


def longest_match(text: list[int]) -> tuple[int, list[int]]:
    """Length of the longest ending that occurs earlier, and the places behind it, oldest first."""
    for length in range(len(text) - 1, 0, -1):
        ends = [end for end in range(length, len(text)) if text[end - length : end] == text[-length:]]
        if ends:
            return length, ends
    return 0, []


def continued(text: list[int], start: int, count: int) -> list[int]:
    text = list(text)
    for place in range(start, start + count):
        text.append(text[place])
    return text[-count:]


def grown(text: list[int], sizes: list[int], **limits: int) -> SuffixIndex:
    index = SuffixIndex(**limits)
    for size in sorted({*(size for size in sizes if size < len(text)), len(text)}):
        index.extend(text[:size])
    return index


def test_goes_on_with_what_followed_the_longest_match() -> None:
    index = SuffixIndex()
    text = [1, 2, 3, 4, 9, 2, 3, 7, 1, 2, 3]
    index.extend(text)
    assert index.lookup(text, 3) == [4, 9, 2]
    text += [8, 2, 3]
    index.extend(text)
    assert index.lookup(text, 2) == [8, 2]
    text += [5, 5]
    index.extend(text)
    assert index.lookup(text, 2) == []


def test_goes_on_with_a_loop() -> None:
    loop = [5, 6, 5, 6]
    assert grown(loop, []).lookup(loop, 5) == [5, 6, 5, 6, 5]


@given(TEXTS, st.lists(st.integers(0, 60)))
def test_finds_the_longest_match_however_the_text_came(text: list[int], sizes: list[int]) -> None:
    length, ends = longest_match(text)
    index = grown(text, sizes)
    assert index.matched == length
    proposed = index.lookup(text, 4)
    if length < MIN_MATCH:
        assert proposed == []
    else:
        assert proposed in [continued(text, end, 4) for end in ends]


@given(st.lists(st.integers(0, 2), max_size=REFRESHED))
def test_takes_the_most_recent_of_several(text: list[int]) -> None:
    length, ends = longest_match(text)
    if length >= MIN_MATCH:
        assert grown(text, []).lookup(text, 5) == continued(text, ends[-1], 5)


@given(TEXTS, st.lists(st.integers(0, 60)), st.integers(2, 20))
def test_a_long_text_forgets_its_older_half(text: list[int], sizes: list[int], limit: int) -> None:
    index = grown(text, sizes, max_tokens=limit)
    assert index.matched <= longest_match(text)[0]
    assert index.matched >= longest_match(text[max(0, len(text) - limit // 2) :])[0]
    assert len(index._links) <= 2 * limit
    if index.matched >= MIN_MATCH:
        assert text[index._after - index.matched : index._after] == text[len(text) - index.matched :]


@pytest.mark.parametrize("text", [[1] * 4000, [i * i % 7 for i in range(4000)], list(range(4000))])
def test_holds_less_than_two_states_a_token(text: list[int]) -> None:
    index = grown(text, [])
    assert len(index._links) <= 2 * len(text)
    assert sum(map(len, index._nexts)) <= 3 * len(text)
