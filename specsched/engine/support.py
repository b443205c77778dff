"""Which models the engine can run: causal language models whose only state is positional KV."""

import inspect

from transformers import PreTrainedModel

from specsched.errors import UnsupportedModel

_LENGTH_DEPENDENT_ROPE = ("dynamic", "longrope")


def check_supported(network: PreTrainedModel, model_id: str) -> None:
    """Refuse a model that cannot be rolled back row by row.

    Raises:
        UnsupportedModel: names the model and why.
    """
    kind = network.config.model_type
    if getattr(network, "_is_stateful", False):
        raise UnsupportedModel(
            f"{model_id}: {kind} keeps recurrent state, which cannot be rolled back after a rejection"
        )
    if network.config.is_encoder_decoder:
        raise UnsupportedModel(f"{model_id}: {kind} is an encoder-decoder, not a causal language model")
    if "position_ids" not in inspect.signature(network.forward).parameters:
        raise UnsupportedModel(
            f"{model_id}: {kind} takes no position ids, so its rows cannot have lengths of their own"
        )
    rope = (getattr(network.config.get_text_config(), "rope_parameters", None) or {}).get("rope_type", "default")
    if rope in _LENGTH_DEPENDENT_ROPE:
        raise UnsupportedModel(f"{model_id}: rope type {rope!r} changes with the longest row of a batch")
