"""On the device the same noise falls, bit for bit, and the same decisions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from specsched.engine.gpu.draws import casts, race
from specsched.engine.gpu.judge import Guesses, judge
from specsched.engine.law import History
from specsched.engine.noise import Keys, Purpose, gumbel, uniform
from specsched.engine.proposers.base import Draft
from specsched.engine.row import Row
from specsched.engine.transfer import READS
from specsched.engine.verify import verify
from specsched.records import Sampling
from tests.helpers.tiny import job

CPU = torch.device("cpu")
SEEDS = st.integers(-(2**63), 2**64 - 1)
VOCAB = 7


@given(st.lists(st.tuples(SEEDS, st.integers(0, 2**31)), min_size=1, max_size=5), st.sampled_from(Purpose))
def test_the_noise_of_many_places_is_that_of_each(places, purpose):
    keys = Keys.of([seed for seed, _ in places], [position for _, position in places], CPU)
    assert keys.uniform(purpose).tolist() == [uniform(*place, purpose) for place in places]
    exponential = keys.exponential(Purpose.GUMBEL, 50)
    for line, place in zip(exponential, places, strict=True):
        torch.testing.assert_close(-torch.log(line), gumbel(*place, 50, CPU), rtol=1e-14, atol=1e-14)  # of logarithms


def test_places_ahead_have_their_own_noise():
    keys = Keys.of([5, 6], [10, 20], CPU)
    assert keys.over(3).uniform(Purpose.DRAFT).tolist() == [
        [uniform(seed, start + j, Purpose.DRAFT) for j in range(3)] for seed, start in ((5, 10), (6, 20))
    ]
    moved = keys.ahead(torch.tensor([1, 2])).uniform(Purpose.ACCEPT).tolist()
    assert moved == [uniform(5, 11, Purpose.ACCEPT), uniform(6, 22, Purpose.ACCEPT)]


def test_a_race_has_the_law_of_its_weights():
    weights = torch.tensor([0.0, 2.0, 0.0, 6.0, 1.0, 1.0])
    count = 20_000
    keys = Keys.of(range(count), [3] * count, CPU)
    drawn = race(weights.expand(count, -1), keys, Purpose.TARGET)
    seen = torch.bincount(drawn, minlength=6)
    assert seen[0] == seen[2] == 0
    assert stats.chisquare(seen[[1, 3, 4, 5]], weights[[1, 3, 4, 5]] / 10 * count).pvalue > 1e-3


SAMPLINGS = [
    Sampling(temperature=0.0),
    Sampling(temperature=1.2),
    Sampling(temperature=0.9, seed=3),
    Sampling(temperature=0.8, top_k=3, repetition_penalty=1.3, frequency_penalty=0.2),
    Sampling(temperature=0.0, presence_penalty=0.5, logit_bias={2: 1.0}),
    Sampling(top_p=0.8),
]


def row_of(index: int, sampling: Sampling) -> Row:
    own = job((1, 2, 3), sampling=sampling, noise_seed=100 + index, max_tokens=50, generated_ids=(4,) * (index + 1))
    return Row(own, lambda _: None, History(own, frozenset(), VOCAB, CPU), None, 50, frozenset(), 0.0)


def case(seed: int) -> tuple[torch.Tensor, list[Row], list[Draft], Guesses]:
    """Six rows, each sampled in its own way, with drafts of 0 … 3 tokens: drawn from a law, or certain."""
    rng = torch.Generator().manual_seed(seed)
    rows = [row_of(i, sampling) for i, sampling in enumerate(SAMPLINGS)]
    counts = torch.randint(0, 4, (len(rows),), generator=rng).tolist()
    counts[int(torch.randint(0, len(rows), (1,), generator=rng))] = 3
    tokens = torch.randint(0, VOCAB, (len(rows), 3), generator=rng)
    laws = []
    for i, row in enumerate(rows):
        law = torch.rand(counts[i], VOCAB, generator=rng).softmax(-1)
        laws.append(law if counts[i] and not row.job.sampling.coupled and (seed + i) % 3 else None)
    logits = 2 * torch.randn(len(rows), 4, VOCAB, generator=rng)
    drafts = [Draft(tokens[i, :n].tolist(), law) for i, (n, law) in enumerate(zip(counts, laws, strict=True))]
    return logits, rows, drafts, Guesses(tokens, torch.tensor(counts), counts, laws)


@pytest.mark.parametrize("seed", range(20))
def test_the_device_accepts_what_the_host_accepts(seed):
    logits, rows, drafts, guesses = case(seed)
    expected = verify(logits, rows, drafts)
    got = judge(logits, rows, guesses)
    for row, ours, theirs, draft in zip(rows, got, expected, drafts, strict=True):
        assert ours.verdict.sound
        assert ours.drafted == draft.tokens
        assert ours.verdict.num_accepted == theirs.num_accepted
        assert ours.verdict.overlaps == pytest.approx(theirs.overlaps, abs=1e-6)
        kept = len(theirs.tokens) if row.job.sampling.coupled else theirs.num_accepted  # the last is drawn otherwise
        assert ours.verdict.tokens[:kept] == theirs.tokens[:kept]


def test_the_host_reads_once_whatever_the_batch():
    logits, rows, _, guesses = case(1)
    before = READS.count
    judge(logits, rows, guesses)
    assert READS.count == before + 1


def test_a_row_whose_logits_are_no_numbers_is_told_from_its_neighbours():
    logits, rows, _, guesses = case(2)
    short = min(range(len(rows)), key=lambda i: guesses.most[i])
    logits[short, guesses.most[short] + 1 :] = torch.nan  # beyond its own positions: rubbish, which is allowed
    assert all(each.verdict.sound for each in judge(logits, rows, guesses))
    logits[short, guesses.most[short]] = torch.nan
    assert [each.verdict.sound for each in judge(logits, rows, guesses)] == [i != short for i in range(len(rows))]


def test_a_batch_of_one_kind_is_not_copied():
    greedy = [row_of(i, SAMPLINGS[0]) for i in range(3)]
    (cast,) = casts(greedy, CPU)
    batch = torch.zeros(3, 2)
    assert cast.of(batch) is batch
    assert [len(cast.members) for cast in casts([*greedy, row_of(3, SAMPLINGS[1])], CPU)] == [3, 1]
