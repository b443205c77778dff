from hypothesis import given
from hypothesis import strategies as st

from specsched.text.stops import StopMatcher

STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)


def run(stops, pieces):
    matcher = StopMatcher(stops)
    text = ""
    for piece in pieces:
        scan = matcher.push(piece)
        text += scan.text
        if scan.matched is not None:
            return text, scan.matched
    return text + matcher.flush(), None


@given(STOPS, st.lists(st.text("ab\nc", max_size=5), max_size=8))
def test_pieces_make_no_difference(stops, pieces):
    assert run(stops, pieces) == run(stops, ["".join(pieces)])


@given(STOPS, st.lists(st.text("ab\nc", max_size=5), max_size=8))
def test_the_text_ends_before_the_first_complete_match(stops, pieces):
    whole = "".join(pieces)
    text, matched = run(stops, pieces)
    if matched is None:
        assert text == whole
        assert not any(stop in whole for stop in stops)
    else:
        assert whole.startswith(text + matched)
        assert not any(stop in (text + matched)[:-1] for stop in stops)


@given(STOPS, st.text("ab\nc", max_size=12))
def test_no_more_is_held_back_than_a_stop_string_could_need(stops, text):
    matcher = StopMatcher(stops)
    scan = matcher.push(text)
    if scan.matched is None:
        held = matcher.flush()
        assert scan.text + held == text
        assert held == "" or any(stop.startswith(held) and stop != held for stop in stops)
        longer = (text[start:] for start in range(len(text) - len(held)))
        assert not any(stop.startswith(suffix) for stop in stops for suffix in longer)


def test_of_two_that_end_together_the_longer_wins():
    assert run(("b", "ab"), ["xa", "b"]) == ("x", "ab")


def test_without_stop_strings_nothing_is_held():
    assert StopMatcher(()).push("abc").text == "abc"
