import pytest
import torch

from specsched.modelkit.agreement import overlap
from specsched.modelkit.objectives import OBJECTIVES, total_variation

TARGET = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_zero_on_the_target_s_law_and_leads_towards_it(name):
    objective = OBJECTIVES[name]
    assert float(objective(TARGET + 3, TARGET)) == pytest.approx(0, abs=1e-6)
    draft = torch.zeros_like(TARGET, requires_grad=True)
    loss = objective(draft, TARGET)
    (gradient,) = torch.autograd.grad(loss, draft)
    assert float(objective(draft.detach() - 0.5 * gradient, TARGET)) < float(loss.detach())


def test_total_variation_is_one_minus_the_overlap():
    draft = torch.tensor([[0.3, 0.1, 0.0], [1.0, -1.0, 0.0]])
    assert float(total_variation(draft, TARGET)) == pytest.approx(1 - float(overlap(TARGET, draft, 1.0).mean()))
