import torch

from specsched.engine.layout import lay_out_by_column
from tests.helpers.tiny import tiny_network


def test_values_shapes_and_ties_stay():
    network = tiny_network()
    network.lm_head.weight = network.model.embed_tokens.weight
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    lay_out_by_column(network)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert network.lm_head.weight is network.model.embed_tokens.weight
    assert network.model.layers[0].mlp.up_proj.weight.t().is_contiguous()


def test_other_dtypes_are_left_alone():
    network = tiny_network().to(torch.bfloat16)
    lay_out_by_column(network)
    assert network.lm_head.weight.is_contiguous()
