import numpy as np
import pytest

from specsched.classify.features import BUCKETS, CHANNELS, LENGTH, extract

ODD = ("", " ", "\0", "\ud800", "é" * 5_000, "𝔘" * 3_000, "\n\t\r", "x" * 1_000_000, "ß\udfff\0" * 999)


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_any_string_has_features_within_bounds(text):
    features = extract(text)
    assert features.buckets.dtype == np.int64
    assert features.values.dtype == np.float32
    assert np.all(np.diff(features.buckets) > 0)
    assert np.all((features.buckets >= 0) & (features.buckets < BUCKETS))
    assert np.all(np.isfinite(features.values))


@pytest.mark.parametrize("blank", ["", " ", "\n \t\r\n"])
def test_a_blank_prompt_has_none(blank):
    assert len(extract(blank).buckets) == 0


def test_case_digits_and_white_space_do_not_matter():
    one, other = extract("Add 12  and\t34"), extract("add 99 AND 70")
    assert np.array_equal(one.buckets, other.buckets)
    assert np.array_equal(one.values, other.values)


def test_each_channel_has_its_length_however_long_the_prompt():
    features = extract("Write a poem about the sea. " * 40)
    for channel in CHANNELS:
        inside = (features.buckets >= channel.start) & (features.buckets < channel.start + (1 << channel.bits))
        assert np.linalg.norm(features.values[inside]) == pytest.approx(channel.length, abs=1e-5)
    assert np.linalg.norm(features.values) == pytest.approx(LENGTH, abs=1e-5)


def test_channels_lie_side_by_side():
    ends = [channel.start + (1 << channel.bits) for channel in CHANNELS]
    assert [channel.start for channel in CHANNELS] == [0, *ends[:-1]]
    assert ends[-1] == BUCKETS


def test_the_first_and_the_last_line_are_told_from_the_rest():
    _, _, first, last, _ = CHANNELS
    found = extract("Sum this up:\nIt rained.\nThanks!").buckets
    for channel, tokens in ((first, 4), (last, 2)):
        inside = (found >= channel.start) & (found < channel.start + (1 << channel.bits))
        assert sum(inside) == tokens + tokens - 1  # words and pairs


def test_words_of_one_stem_are_alike():
    def shared(one, other):
        return len(np.intersect1d(extract(one).buckets, extract(other).buckets))

    assert shared("Summarise", "Summary") == len(CHANNELS) - 1  # all but the whole word
    assert shared("Summarise", "Translate") == 0


def test_the_middle_of_a_long_prompt_is_not_read():
    head, tail = "Summarize this. " * 100, " That was all." * 60
    one, other = extract(head + "a" * 5_000 + tail), extract(head + "b" * 9_000 + tail)
    assert np.array_equal(one.values, other.values)
