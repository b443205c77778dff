import pytest
import torch

from specsched.modelkit import attention
from specsched.modelkit.guide import Guide
from specsched.modelkit.language_model import load_language_model

IDS = torch.tensor([[5, 6, 7, 5, 8, 5]])
BEFORE, FOLLOWERS = 0, 1  # the layers of a model of two


def attention_to(*keys: int) -> torch.Tensor:
    """All of each query's attention on one key, [1, 1, 1, T, T]."""
    return torch.nn.functional.one_hot(torch.tensor(keys), len(keys)).float()[None, None, None]


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [(BEFORE, attention_to(0, 0, 1, 2, 3, 4)), (FOLLOWERS, attention_to(0, 0, 0, 1, 0, 4))],
    ids=["the token before", "what followed the token where it stood before"],
)
def test_attention_on_the_wanted_keys_lacks_nothing(layer, wanted):
    guide, misled = Guide(IDS, layers=2), Guide(IDS, layers=2)
    guide.see(layer, wanted, first=0)
    misled.see(layer, wanted.roll(1, dims=-1), first=0)
    assert float(guide.loss) < 1e-4
    assert float(misled.loss) > 1


def test_other_layers_are_left_alone():
    guide = Guide(IDS, layers=2)
    guide.see(2, attention_to(0, 0, 0, 0, 0, 0), first=0)
    assert guide.loss == 0


def test_blocks_of_queries_are_judged_as_the_whole(target_folder, monkeypatch):
    model = load_language_model(target_folder).network
    model.set_attn_implementation(attention.register())
    ids = torch.randint(4, 20, (2, 48), generator=torch.Generator().manual_seed(0))
    losses = []
    for block in (48, 16):
        monkeypatch.setattr(attention, "_BLOCK", block)
        guide = Guide(ids, model.config.num_hidden_layers)
        with torch.no_grad():
            model.base_model(input_ids=ids, watcher=guide)
        losses.append(float(guide.loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] > 1


def test_heads_follow_their_guide(target_folder):
    model = load_language_model(target_folder).network
    model.set_attn_implementation(attention.register())
    ids = torch.randint(4, 300, (4, 24), generator=torch.Generator().manual_seed(0)).repeat(1, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        guide = Guide(ids, model.config.num_hidden_layers)
        model.base_model(input_ids=ids, watcher=guide)
        guide.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(guide.loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
