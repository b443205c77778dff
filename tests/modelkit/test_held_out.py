from pathlib import Path

import numpy as np
import pytest

from specsched.engine.int8 import int8_is_offered, quantize_linears
from specsched.modelkit.held_out import held_out_losses, network_losses
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.tokens import Documents
from tests.helpers.tiny import tiny_network

IDS = np.random.default_rng(0).integers(64, size=300).astype(np.uint16)
VALID = {"code": Documents(IDS, np.array([0, 300]))}


def test_a_network_s_own_head_gives_the_same_loss():
    network = tiny_network()
    known = held_out_losses(LanguageModel(network, None, Path()), VALID, window=64, tokens=256)
    assert network_losses(network, VALID, window=64, tokens=256)["code"] == pytest.approx(known["code"], rel=1e-5)


@pytest.mark.skipif(not int8_is_offered(), reason="this PyTorch has no INT8 kernels for this CPU")
def test_a_quantized_network_s_loss_is_near():
    network = tiny_network(spread=0.1)
    before = network_losses(network, VALID, window=64, tokens=256)["code"]
    quantize_linears(network)
    after = network_losses(network, VALID, window=64, tokens=256)["code"]
    assert after != before
    assert after == pytest.approx(before, rel=0.01)
