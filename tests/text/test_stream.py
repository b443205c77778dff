import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.records import Chunk, FinishReason, RoundRecord, TokenLogprob
from specsched.text.stream import TextStream
from tests.helpers.text import EOS, byte_tokenizer

TOKENIZER = byte_tokenizer()
IDS = st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=30)
STOPS = st.lists(st.sampled_from(["t", "the", " cat", "at s", "é", "🙂", "�"]), max_size=3).map(tuple)
SENTENCE = TOKENIZER.encode("the cat sat on 🙂 the mat")


def chunk_of(ids, finish=None, matched=None):
    logprobs = tuple(TokenLogprob(token, -1.0) for token in ids)
    record = RoundRecord("draft", 4, max(len(ids) - 1, 0), 1, 0.1, 0.1, overlaps=(0.5,) * len(ids))
    return Chunk(tuple(ids), logprobs, record, finish, matched)


def deliver(stream, ids, cuts=()):
    bounds = sorted({0, len(ids), *(cut % (len(ids) + 1) for cut in cuts)})
    spans = list(itertools.pairwise(bounds)) or [(0, 0)]
    return [
        stream.push(chunk_of(ids[start:end], FinishReason.LENGTH if end == len(ids) else None)) for start, end in spans
    ]


@given(IDS, st.lists(st.integers(0, 30)), STOPS, st.integers(0, 12))
def test_any_chunking_gives_the_same_text_tokens_and_logprobs(ids, cuts, stop, min_tokens):
    pieces, whole = (TextStream(TOKENIZER, stop, min_tokens) for _ in range(2))
    chunks = deliver(pieces, ids, cuts)
    deliver(whole, ids)
    assert (pieces.text, pieces.token_ids, pieces.logprobs) == (whole.text, whole.token_ids, whole.logprobs)
    assert pieces.matched_stop == whole.matched_stop
    assert "".join(chunk.text for chunk in chunks) == pieces.text
    assert tuple(token for chunk in chunks for token in chunk.token_ids) == pieces.token_ids


@given(IDS, STOPS, st.integers(0, 12))
def test_a_match_trims_text_and_tokens_alike(ids, stop, min_tokens):
    stream = TextStream(TOKENIZER, stop, min_tokens)
    deliver(stream, ids)
    if stream.matched_stop is None:
        assert (stream.token_ids, stream.text) == (tuple(ids), TOKENIZER.decode(ids))
    else:
        kept = list(stream.token_ids)
        assert kept == ids[: len(kept)]
        assert len(kept) >= min_tokens
        assert TOKENIZER.decode(ids).startswith(stream.text + stream.matched_stop)


@given(st.lists(st.integers(1, 30), min_size=1), st.integers(0, 30), STOPS)
def test_a_resumed_stream_ends_as_one_that_was_never_cut(cuts, cut, stop):
    unbroken = TextStream(TOKENIZER, stop)
    deliver(unbroken, SENTENCE, cuts)
    first = TextStream(TOKENIZER, stop)
    head = first.push(chunk_of(SENTENCE[:cut]))
    if first.matched_stop is not None:
        return
    second = TextStream(TOKENIZER, stop, resumed_ids=SENTENCE[:cut])
    tail = deliver(second, SENTENCE[cut:])
    assert second.text == head.text + "".join(chunk.text for chunk in tail) == unbroken.text
    assert second.token_ids == unbroken.token_ids


def test_the_record_of_a_trimmed_round_counts_only_what_was_kept():
    stream = TextStream(TOKENIZER, ("b",))
    ids = TOKENIZER.encode("xbqzw")
    seen = stream.push(chunk_of(ids))
    assert (seen.text, seen.token_ids, stream.matched_stop) == ("x", ids[:2], "b")
    assert len(seen.logprobs) == 2
    assert seen.round.num_accepted == 2
    assert seen.round.censored
    assert len(seen.round.overlaps) == 2


def test_a_round_that_its_last_token_ends_stays_as_it_is():
    chunk = chunk_of(TOKENIZER.encode("xqb"))
    assert TextStream(TOKENIZER, ("b",)).push(chunk).round == chunk.round


def test_a_stop_string_may_begin_in_an_earlier_round():
    stream = TextStream(TOKENIZER, ("END",))
    assert stream.push(chunk_of(TOKENIZER.encode("xE"))).text == "x"
    assert stream.push(chunk_of(TOKENIZER.encode("ND!"))).text == ""
    assert (stream.text, stream.matched_stop) == ("x", "END")


def test_what_might_have_been_a_stop_string_comes_out_at_the_end():
    stream = TextStream(TOKENIZER, ("END",))
    stream.push(chunk_of(TOKENIZER.encode("xEN")))
    seen = stream.push(chunk_of((EOS,), FinishReason.STOP, EOS))
    assert (seen.text, seen.token_ids) == ("EN", (EOS,))
    assert stream.matched_stop is None


def test_nothing_follows_a_match():
    stream = TextStream(TOKENIZER, ("b",))
    stream.push(chunk_of(TOKENIZER.encode("b")))
    late = stream.push(chunk_of(TOKENIZER.encode("more")))
    assert (late.text, late.token_ids, late.round) == ("", (), None)


def test_before_min_tokens_nothing_matches():
    stream = TextStream(TOKENIZER, ("b",), min_tokens=3)
    ids = TOKENIZER.encode("bbxb!")
    stream.push(chunk_of(ids))
    assert (stream.text, stream.token_ids) == ("bbx", ids[:4])


@pytest.mark.parametrize("token", [EOS, *TOKENIZER.encode("x")])
def test_a_stop_token_stays_and_its_text_does_not(token):
    stream = TextStream(TOKENIZER, ())
    seen = stream.push(chunk_of((*TOKENIZER.encode("ab"), token), FinishReason.STOP, token))
    assert (seen.text, seen.token_ids[-1]) == ("ab", token)
