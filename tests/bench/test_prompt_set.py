import json
from collections import Counter

import pytest

from specsched.bench.prompt_set import KIND_TAGS, LENGTH_TAGS, LONG_CHARACTERS, load_prompts, read_prompts
from specsched.classify.base import PROMPT_CLASSES
from specsched.errors import SetupError

GOOD = {"id": "qa-01", "category": "qa", "prompt": "Why is the sea salty?", "tags": ["short"]}


def write(folder, *lines):
    path = folder / "qa.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return path


@pytest.mark.parametrize("prompt_class", PROMPT_CLASSES)
def test_a_class_has_enough_prompts_of_every_kind(prompt_class):
    prompts = load_prompts([prompt_class])
    assert {prompt.prompt_class for prompt in prompts} == {prompt_class}
    assert len(prompts) >= 40
    assert sum(len(prompt.prompt) > LONG_CHARACTERS for prompt in prompts) >= 3
    tags = Counter(tag for prompt in prompts for tag in prompt.tags)
    assert all(tags[tag] >= 3 for tag in (*LENGTH_TAGS, *KIND_TAGS)), tags


def test_ids_are_unique_and_start_with_their_class():
    prompts = load_prompts()
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    assert all(prompt.id.startswith(f"{prompt.prompt_class}-") for prompt in prompts)


def test_no_text_stands_twice():
    texts = Counter(" ".join(prompt.prompt.casefold().split()) for prompt in load_prompts())
    assert [text for text, count in texts.items() if count > 1] == []


def test_all_classes_come_in_order_when_none_is_named():
    assert tuple(dict.fromkeys(prompt.prompt_class for prompt in load_prompts())) == PROMPT_CLASSES


def test_a_class_named_twice_is_read_once():
    assert load_prompts(["math", "math"]) == load_prompts(["math"])


def test_an_unknown_class_is_refused():
    with pytest.raises(SetupError, match="poetry"):
        load_prompts(["qa", "poetry"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SetupError, match=r"cannot read qa\.jsonl"):
        read_prompts(tmp_path / "qa.jsonl", "qa")


def test_empty_lines_are_passed_over(tmp_path):
    (prompt,) = read_prompts(write(tmp_path, "", GOOD, ""), "qa")
    assert (prompt.id, prompt.prompt, prompt.tags) == ("qa-01", "Why is the sea salty?", ("short",))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param("{", "Expecting", id="no-json"),
        pytest.param("[]", "exactly the fields", id="no-object"),
        pytest.param({**GOOD, "source": "x"}, "exactly the fields", id="field-too-many"),
        pytest.param({"id": "qa-02"}, "exactly the fields", id="field-missing"),
        pytest.param({**GOOD, "category": "math"}, "in the file of 'qa'", id="other-class"),
        pytest.param({**GOOD, "id": 2}, "id is no text", id="id-is-a-number"),
        pytest.param({**GOOD, "prompt": "  "}, "prompt is no text", id="prompt-is-empty"),
        pytest.param({**GOOD, "tags": "short"}, "no list", id="tags-are-text"),
        pytest.param({**GOOD, "tags": ["copy"]}, "exactly one of", id="no-length"),
        pytest.param({**GOOD, "tags": ["short", "medium"]}, "exactly one of", id="two-lengths"),
        pytest.param({**GOOD, "tags": ["short", "nice"]}, "unknown", id="unknown-tag"),
        pytest.param({**GOOD, "tags": ["short", "copy", "copy"]}, "twice", id="tag-twice"),
        pytest.param({**GOOD, "tags": ["short", ["copy"]]}, "unknown", id="tag-is-a-list"),
        pytest.param({**GOOD, "tags": ["long"]}, "long is above", id="not-long"),
        pytest.param({**GOOD, "prompt": "a " * LONG_CHARACTERS}, "long is above", id="long-without-its-tag"),
        pytest.param(GOOD, "stands twice", id="id-twice"),
    ],
)
def test_a_bad_record_is_named_by_file_and_line(tmp_path, bad, reason):
    with pytest.raises(SetupError, match=rf"qa\.jsonl, line 3: .*{reason}"):
        read_prompts(write(tmp_path, GOOD, "", bad), "qa")
