import pytest
import torch

from specsched.modelkit.export import export
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.unloop import Sobriety, Unlooping, unlikelihood, unloop


def test_unlikelihood_is_that_of_the_tokens_not_to_come():
    logits = torch.randn(200, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = torch.arange(200) % 20
    p = logits.softmax(-1)[torch.arange(200), tokens]
    assert float(unlikelihood(logits, tokens)) == pytest.approx(float(-(1 - p).log().mean()))


def test_a_sure_loop_still_has_a_gradient():
    logits = torch.tensor([[60.0, 0.0]], requires_grad=True)
    unlikelihood(logits, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 0]) > 0


@pytest.fixture
def looping_folder(target_folder, tmp_path):
    """A target that says the same four tokens again and again."""
    network = load_language_model(target_folder).network
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        ids = torch.cat([torch.randint(4, 320, (16, 6), generator=generator), torch.arange(10, 14).repeat(16, 5)], 1)
        network(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    export(network, target_folder, tmp_path / "looping")
    return tmp_path / "looping"


def chance_of_another_turn(folder) -> float:
    """Mean probability of what a loop says next, at its fourth and fifth turn."""
    ids = torch.tensor([[200, 100, 50, 25, *[10, 11, 12, 13] * 5]])
    with torch.no_grad():
        law = load_language_model(folder).network(input_ids=ids).logits.softmax(-1)
    return float(law[0, 15:-1].gather(1, ids[0, 16:, None]).mean())


def test_another_turn_of_a_loop_becomes_less_probable(looping_folder, corpus, tmp_path):
    found: list[Sobriety] = []
    job = Unlooping(
        looping_folder, tmp_path / "sober", corpus, rounds=4, per_class=18, max_new_tokens=40, batch_tokens=128, rate=3
    )
    unloop(job, found.append)
    assert [one.round for one in found] == [0, 1, 2, 3]
    assert found[0].looping > 0.9
    assert chance_of_another_turn(tmp_path / "sober") < 0.7 * chance_of_another_turn(looping_folder)
