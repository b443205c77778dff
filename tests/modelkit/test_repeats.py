from itertools import islice

import pytest

from specsched.modelkit.repeats import Repeats, repeated_documents

TEXTS = [
    ["the cat sat on the mat, and the dog sat on the cat", "def f(x):\n    return x"],
    ["one two three four five six"],
]


def drawn(seed: int, count: int = 200):
    return list(islice(Repeats(TEXTS, seed), count))


def test_equal_seeds_give_equal_tasks():
    assert drawn(1) == drawn(1) != drawn(2)


def test_answers_stand_in_their_prompts_but_for_words_that_were_exchanged():
    tasks = drawn(4)
    assert sum(task.completion in task.prompt for task in tasks) >= 0.75 * len(tasks)
    assert all(task.completion for task in tasks)


@pytest.mark.parametrize("tokens", [0, 300])
def test_documents_of_about_so_many_tokens(corpus, target_folder, tokens):
    found = repeated_documents(corpus, target_folder / "tokenizer.json", tokens, seed=0)
    assert tokens <= len(found.ids) <= 3 * tokens + 1
