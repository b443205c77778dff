import json

import pytest

from specsched.classify.examples import ExampleError, held_out_examples, read_examples, training_examples


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def record(**fields):
    return {"prompt": "Hi", "category": "chat", **fields}


@pytest.mark.parametrize(
    ("source", "family"), [("SGD:dev1_00015", "SGD"), ("SGD test", "SGD"), ("openai/human-eval", "openai/human-eval")]
)
def test_a_source_is_a_data_set_and_not_a_document(tmp_path, source, family):
    assert read_examples(write(tmp_path / "a.jsonl", record(source=source)))[0].source == family


def test_a_record_without_source_belongs_to_its_folder(tmp_path):
    folder = tmp_path / "bench" / "prompts"
    folder.mkdir(parents=True)
    assert read_examples(write(folder / "chat.jsonl", record()))[0].source == "bench/prompts"


def test_training_and_testing_read_different_files(tmp_path):
    write(tmp_path / "train.jsonl", record(prompt="learn"))
    write(tmp_path / "test.jsonl", record(prompt="check"))
    assert [example.text for example in training_examples(tmp_path)] == ["learn"]
    assert [example.text for example in held_out_examples(tmp_path)] == ["check"]


@pytest.mark.parametrize("read", [training_examples, held_out_examples])
def test_a_folder_without_prompts_is_named(tmp_path, read):
    with pytest.raises(ExampleError, match="no labelled prompts"):
        read(tmp_path)


def test_classes_may_have_any_name(tmp_path):
    assert read_examples(write(tmp_path / "a.jsonl", record(category="legal advice")))[0].prompt_class == "legal advice"


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "Hi"}', '{"prompt": "Hi", "category": ""}'])
def test_a_bad_line_is_named_by_number(tmp_path, line):
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(record()) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(ExampleError, match=r"test\.jsonl, line 2"):
        read_examples(path)
