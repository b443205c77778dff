import torch

from specsched.modelkit.loss import next_token_loss


def test_loss_and_gradients_are_those_of_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 150, 8, generator=generator, requires_grad=True)  # 447 rows: two chunks
    head = torch.randn(20, 8, generator=generator, requires_grad=True)
    ids = torch.randint(0, 20, (3, 150), generator=generator)
    loss = next_token_loss(hidden, head, ids)
    ours = torch.autograd.grad(loss, (hidden, head))
    expected = torch.nn.functional.cross_entropy((hidden[:, :-1] @ head.T).flatten(0, 1), ids[:, 1:].flatten())
    theirs = torch.autograd.grad(expected, (hidden, head))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours, theirs)
