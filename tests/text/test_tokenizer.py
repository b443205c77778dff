import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specsched.errors import InvalidRequest, PoolError
from specsched.records import ChatMessage, ChatPrompt
from specsched.text.tokenizer import Tokenizer
from tests.helpers.text import EOS, byte_tokenizer, save_tokenizer

STARTER = Path(os.environ.get("SPECSCHED_MODELS", "../shared/models")) / "starter-target"
CONVERSATION = ChatPrompt(
    (ChatMessage("user", "Hi 🙂"), ChatMessage("assistant", "Hello."), ChatMessage("user", "<b>\n"))
)
TEXTS = ("", " ", "Hello, world", "naïve café 🙂👩‍👩‍👧", "<|user|>hi<|end|>", "x " * 3000, "\u200b\x00\r\n\t", "日本語")


@pytest.fixture
def folder(tmp_path):
    return save_tokenizer(tmp_path / "model")


def test_a_folder_gives_ids_text_and_template(folder):
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.eos_token_ids == (EOS,)
    assert tokenizer.encode("the cat") == byte_tokenizer().encode("the cat")
    assert tokenizer.decode((EOS, *tokenizer.encode("the cat"))) == "the cat"
    assert tokenizer.vocab_size == byte_tokenizer().vocab_size
    assert tokenizer.render(CONVERSATION) == "<|user|>Hi 🙂<|user|>Hello.<|user|><b>\n<|bot|>"


def test_the_generation_config_adds_ends(folder):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, EOS]}))
    assert Tokenizer.load(folder).eos_token_ids == (EOS, 5)


@pytest.mark.parametrize("entry", ["{{ eos_token }}", [{"name": "default", "template": "{{ eos_token }}"}]])
def test_the_template_may_stand_in_the_config(folder, entry):
    (folder / "chat_template.jinja").unlink()
    config = {"eos_token": {"content": "<|end|>"}, "chat_template": entry}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert Tokenizer.load(folder).render(CONVERSATION) == "<|end|>"


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_or_damaged_file_is_named_in_one_line(folder, name):
    (folder / name).write_text("{")
    with pytest.raises(PoolError, match=name) as damaged:
        Tokenizer.load(folder)
    (folder / name).unlink()
    with pytest.raises(PoolError, match=name) as missing:
        Tokenizer.load(folder)
    assert "\n" not in f"{damaged.value}{missing.value}"


def test_a_damaged_template_is_named(folder):
    (folder / "chat_template.jinja").write_text("{% if %}")
    with pytest.raises(PoolError, match="chat template"):
        Tokenizer.load(folder)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[0]['role'] + 1 }}",
        "{{ messages[9].content }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_refuses_or_breaks_out_is_the_callers_error(folder, template):
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(InvalidRequest) as refused:
        Tokenizer.load(folder).render(CONVERSATION)
    assert [violation.field for violation in refused.value.violations] == ["messages"]


def test_without_a_template_messages_are_refused(folder):
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InvalidRequest, match="chat template"):
        Tokenizer.load(folder).render(CONVERSATION)


def test_threads_share_it(folder):
    tokenizer = Tokenizer.load(folder)
    texts = [f"the cat {n} sat" for n in range(200)]
    with ThreadPoolExecutor(8) as threads:
        decoded = list(threads.map(lambda text: tokenizer.decode(tokenizer.encode(text)), texts))
    assert decoded == texts


@pytest.fixture(scope="module")
def reference():
    if not STARTER.exists():
        pytest.skip("the starter target is not at ../shared/models")
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(STARTER)


@pytest.mark.parametrize("text", TEXTS)
def test_transformers_gives_the_same_ids_and_text(reference, text):
    tokenizer = Tokenizer.load(STARTER)
    ids = tokenizer.encode(text)
    assert list(ids) == reference(text).input_ids
    plain = reference.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert tokenizer.decode(ids) == plain


def test_transformers_gives_the_same_rendering(reference):
    turns = [{"role": each.role, "content": each.content} for each in CONVERSATION.messages]
    rendered = reference.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert Tokenizer.load(STARTER).render(CONVERSATION) == rendered


def test_transformers_gives_a_conversation_the_same_ids(reference):
    turns = [{"role": each.role, "content": each.content} for each in CONVERSATION.messages]
    ids = reference.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    tokenizer = Tokenizer.load(STARTER)
    assert list(tokenizer.encode(tokenizer.render(CONVERSATION), special_tokens=False)) == ids


def test_transformers_gives_the_same_end_and_size(reference):
    tokenizer = Tokenizer.load(STARTER)
    assert tokenizer.eos_token_ids == (reference.eos_token_id,)
    assert tokenizer.vocab_size == len(reference)
