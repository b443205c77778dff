import pytest
import torch

from specsched.modelkit.chunks import backward_by_chunks
from specsched.modelkit.objectives import OBJECTIVES


@pytest.fixture
def drawn():
    """Inputs [N, D], a body, a head, and the target's logits [N, V], several chunks and a bit."""
    torch.manual_seed(0)
    return torch.randn(300, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 20), torch.randn(300, 20)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_chunks_give_the_loss_and_the_gradients_of_the_whole(drawn, objective):
    inputs, body, head, target = drawn
    parameters = [*body.parameters(), *head.parameters()]
    whole = objective(head(body(inputs)), target)
    expected = torch.autograd.grad(whole, parameters)
    loss = backward_by_chunks(body(inputs), lambda rows, chunk: objective(head(rows), target[chunk]))
    assert loss == pytest.approx(float(whole.detach()), rel=1e-5)
    torch.testing.assert_close([p.grad for p in parameters], list(expected), atol=1e-6, rtol=1e-4)
