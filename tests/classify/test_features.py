import numpy as np
import pytest

from specsched.classify.features import BUCKETS, extract

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
    one, other = extract("Add 12  and\n34"), extract("add 99 AND 70")
    assert np.array_equal(one.buckets, other.buckets)
    assert np.array_equal(one.values, other.values)


def test_each_of_the_three_channels_has_length_one():
    assert np.linalg.norm(extract("Write a poem about the sea.").values) ** 2 == pytest.approx(3, abs=1e-5)


def test_the_middle_of_a_long_prompt_is_not_read():
    head, tail = "Summarize this. " * 100, " That was all." * 60
    one, other = extract(head + "a" * 5_000 + tail), extract(head + "b" * 9_000 + tail)
    assert np.array_equal(one.values, other.values)
