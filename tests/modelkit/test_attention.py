import torch

from specsched.modelkit import attention
from specsched.modelkit.language_model import load_language_model


def test_blocks_attend_as_the_reference_does(target_folder, monkeypatch):
    model = load_language_model(target_folder)
    ids = torch.randint(4, 300, (2, 50), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.hidden(ids)
        monkeypatch.setattr(attention, "_BLOCK", 16)
        model.network.set_attn_implementation(attention.register())
        torch.testing.assert_close(model.hidden(ids), expected, atol=1e-5, rtol=1e-4)
