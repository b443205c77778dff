import itertools

from hypothesis import given
from hypothesis import strategies as st

from specsched.text.detokenizer import UNFINISHED, Detokenizer
from tests.helpers.text import byte_tokenizer

TOKENIZER = byte_tokenizer()
IDS = st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=40)


def pieces(ids, cuts):
    bounds = sorted({0, len(ids), *(cut % (len(ids) + 1) for cut in cuts)})
    return [ids[start:end] for start, end in itertools.pairwise(bounds)]


@given(IDS, st.lists(st.integers(0, 40)))
def test_any_chunking_of_any_tokens_gives_the_whole_decode(ids, cuts):
    detokenizer = Detokenizer(TOKENIZER)
    text = "".join(detokenizer.push(piece) for piece in pieces(ids, cuts)) + detokenizer.flush()
    assert text == TOKENIZER.decode(ids)


@given(st.text(max_size=30))
def test_text_comes_in_whole_characters(text):
    detokenizer = Detokenizer(TOKENIZER)
    seen = [detokenizer.push((token,)) for token in TOKENIZER.encode(text)]
    assert "".join(seen) + detokenizer.flush() == text
    assert all(UNFINISHED not in piece for piece in seen) or UNFINISHED in text


def test_an_emoji_appears_with_its_last_byte():
    detokenizer = Detokenizer(TOKENIZER)
    seen = [detokenizer.push((token,)) for token in TOKENIZER.encode("🙂")]
    assert seen == ["", "", "", "🙂"]


def test_half_a_character_comes_out_at_the_end():
    detokenizer = Detokenizer(TOKENIZER)
    half = TOKENIZER.encode("🙂")[:2]
    assert detokenizer.push(half) == ""
    assert detokenizer.flush() == TOKENIZER.decode(half)
    assert detokenizer.flush() == ""


def test_what_is_whole_before_half_a_character_comes_at_once():
    detokenizer = Detokenizer(TOKENIZER)
    half, rest = TOKENIZER.encode("🙂")[:2], TOKENIZER.encode("🙂")[2:]
    assert detokenizer.push((*TOKENIZER.encode("the cat"), *half)) == "the cat"
    assert detokenizer.push(rest) == "🙂"


def test_special_tokens_have_no_text():
    detokenizer = Detokenizer(TOKENIZER)
    assert detokenizer.push((0, *TOKENIZER.encode("the"), 0)) == "the"
