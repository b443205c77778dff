import pytest
import torch

from specsched.errors import SetupError
from specsched.modelkit.draft import DraftShape, build_draft, main_directions
from specsched.modelkit.language_model import load_language_model


def test_the_main_directions_are_the_best_copy_of_their_rank():
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(50, 3, generator=generator) @ torch.randn(3, 12, generator=generator)
    basis = main_directions(embedding, 3)
    torch.testing.assert_close(basis.embedding @ basis.directions.T, embedding, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [DraftShape(16, 1, 24, 1, 1), DraftShape(40, 3, 96, 8, 2)])
def test_a_draft_of_any_shape_starts_from_the_target(target_folder, shape):
    target = load_language_model(target_folder)
    draft = build_draft(target, shape, seed=0)
    assert draft.vocabulary == target.vocabulary
    assert draft.context_tokens == target.context_tokens
    assert draft.eos_ids == target.eos_ids
    assert torch.isfinite(draft.logits(draft.hidden(torch.tensor([[5, 6, 7]])))).all()


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(SetupError, match="width 40 with 6 heads"):
        DraftShape(width=40, heads=6)


def test_with_the_target_s_own_shape_the_start_is_nearly_the_target(target_folder):
    target = load_language_model(target_folder)
    draft = build_draft(target, DraftShape(width=32, layers=2, mlp=64, heads=4, key_value_heads=2), seed=0)
    ids = torch.randint(4, 300, (4, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, theirs = (model.logits(model.hidden(ids)) for model in (draft, target))
    torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=1e-2)
