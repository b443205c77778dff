import torch

from specsched.modelkit.generation import GenerationSettings, Sample, generate
from specsched.modelkit.language_model import load_language_model

PROMPTS = [(5, 9, 40), (17,), (8, 100, 33, 21, 7, 6), (44, 45)]


def test_greedy_rows_are_what_transformers_generates_alone(target_folder):
    model = load_language_model(target_folder)
    samples = [Sample(prompt, 0.0) for prompt in PROMPTS]
    ours = generate(model, samples, GenerationSettings(max_new_tokens=24, rows=3))
    for prompt, completion in zip(PROMPTS, ours, strict=True):
        ids = torch.tensor([prompt])
        alone = model.network.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)
        assert list(completion) == alone[0, len(prompt) :].tolist()


def test_rows_that_end_leave_the_others_as_they_were(target_folder):
    model = load_language_model(target_folder)
    samples = [Sample(prompt, 0.0) for prompt in PROMPTS]
    undisturbed = generate(model, samples, GenerationSettings(max_new_tokens=12))
    model.network.generation_config.eos_token_id = [undisturbed[0][2], undisturbed[2][5]]
    ended = generate(model, samples, GenerationSettings(max_new_tokens=12))
    for short, whole in zip(ended, undisturbed, strict=True):
        assert whole[: len(short)] == short
        assert len(short) == 12 or short[-1] in model.eos_ids
    assert len(ended[0]) <= 3


def test_sampled_rows_depend_on_the_seed(target_folder):
    model = load_language_model(target_folder)
    samples = [Sample(PROMPTS[0], 1.0)] * 4
    first, again, other = (
        generate(model, samples, GenerationSettings(max_new_tokens=16, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(first)) > 1
