"""Cutting by rank and mass, against the same done by sorting everything."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specsched.engine.truncation import truncate

VOCAB = 600
LAWS = {
    "peaked": lambda noise: noise * 4,
    "flat": lambda noise: noise * 0.01,
    "tied": lambda noise: (noise * 2).round(),
    "all equal": lambda noise: noise * 0,
    "hardly any": lambda noise: noise.masked_fill(noise < 2.5, -torch.inf),
}


def by_sorting(logits: torch.Tensor, k: int, p: float) -> set[int]:
    order = sorted(range(len(logits)), key=lambda token: (-logits[token].item(), token))[:k]
    order = [token for token in order if logits[token] > -torch.inf]
    mass, kept = logits[order].double().softmax(-1).tolist(), list[int]()
    for token in order:
        if kept and p < 1 and sum(mass[: len(kept)]) >= p:
            break
        kept.append(token)
    return set(kept)


@pytest.mark.parametrize("law", LAWS)
@given(
    seed=st.integers(0, 2**20),
    k=st.sampled_from([1, 3, 63, 64, 65, 512, VOCAB]),
    p=st.sampled_from([0.1, 0.77, 0.999, 1.0]),
)
def test_what_stays_is_what_sorting_all_tokens_keeps(law: str, seed: int, k: int, p: float) -> None:
    noise = torch.randn(2, VOCAB, generator=torch.Generator().manual_seed(seed))
    logits = LAWS[law](noise)
    logits[1] = noise[1] * 4  # a row that is settled at once beside one that may not be
    shaped = truncate(logits, torch.tensor([k, 2]), torch.tensor([p, 1.0]))
    assert set((shaped[0] > -torch.inf).nonzero()[:, 0].tolist()) == by_sorting(logits[0], k, p)
    assert (shaped[1] > -torch.inf).sum() == 2
    stays = shaped > -torch.inf
    assert torch.equal(shaped[stays], logits[stays])


def test_a_row_keeps_the_same_whatever_stands_beside_it() -> None:
    logits = torch.randn(3, VOCAB, generator=torch.Generator().manual_seed(1)) * torch.tensor([[3.0], [0.01], [1.0]])
    top_k, top_p = torch.tensor([VOCAB, VOCAB, 40]), torch.tensor([0.9, 0.9, 0.8])
    together = truncate(logits, top_k, top_p)
    for row in range(3):
        alone = truncate(logits[row : row + 1], top_k[row : row + 1], top_p[row : row + 1])
        assert torch.equal(together[row], alone[0])


def test_a_token_that_fills_the_mass_is_the_last() -> None:
    logits = torch.full((1, VOCAB), -torch.inf)
    logits[0, 5] = logits[0, 9] = 1.0
    shaped = truncate(logits, torch.tensor([VOCAB]), torch.tensor([0.5]))
    assert (shaped[0] > -torch.inf).nonzero()[:, 0].tolist() == [5]
