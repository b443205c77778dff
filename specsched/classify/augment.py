"""Variants of training prompts that keep the class and lose the template, and texts that teach doubt."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from specsched.classify.examples import Example

_MARKER = re.compile(
    r"^(question|problem|answer|text|passage|abstract|context|let's think step by step|show your work)\b[:.]?[ \n]?",
    re.IGNORECASE | re.MULTILINE,
)
_CALLER = re.compile(r"^(User|Customer):", re.MULTILINE)
_ANSWERER = re.compile(r"^(Assistant|Agent):", re.MULTILINE)
_CALLERS = ("Guest", "Caller", "Patient", "Visitor", "Client", "Tenant", "Student", "Maya", "Tom", "A", "Me", "Human")
_ANSWERERS = ("Desk", "Reception", "Clerk", "Support", "Host", "Coach", "Advisor", "Lena", "B", "You", "Bot", "AI")
_OPENINGS = ("Please ", "Can you help me? ", "Hi! ", "Hello, ", "I have a request. ", "")
_CLOSINGS = (" Thanks!", " Thank you.", "\n\nBe concise.", " please", "")
_SYSTEM = "You are a helpful assistant.\n\n"
_SCRAMBLED_CHARACTERS, _JOINED_CHARACTERS = 400, 700
_LONGEST_WORD = 9

AMBIGUOUS = "ambiguous"
"""The source of texts that teach doubt."""


def augmented(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """Return one variant of each example."""
    return [replace(example, text=_variant(example.text, rng)) for example in examples]


def ambiguous(examples: Sequence[Example], count: int, rng: random.Random) -> list[Example]:
    """Return, for each class, `count` texts that ask for nothing and `count` that ask for two things, told as it.

    Since every class is told alike often, what they teach is a flat law.
    """
    found = []
    for prompt_class in sorted({example.prompt_class for example in examples}):
        own = [example for example in examples if example.prompt_class == prompt_class]
        for _ in range(count):
            pair = [rng.choice(own).text[:_JOINED_CHARACTERS], rng.choice(examples).text[:_JOINED_CHARACTERS]]
            rng.shuffle(pair)
            texts = (_scrambled(rng.choice(examples).text, rng), "\n\n".join(pair))
            found += [Example(text, prompt_class, AMBIGUOUS) for text in texts]
    return found


def _scrambled(text: str, rng: random.Random) -> str:
    """Its letters in any order, in words of any length."""
    letters = [letter for letter in text[:_SCRAMBLED_CHARACTERS] if letter.isalpha()]
    rng.shuffle(letters)
    words = []
    while letters:
        length = rng.randint(1, _LONGEST_WORD)
        words.append("".join(letters[:length]))
        del letters[:length]
    return " ".join(words)


def _variant(text: str, rng: random.Random) -> str:
    """Turns between other speakers where there are any, then one change more."""
    caller, answerer = rng.choice(_CALLERS), rng.choice(_ANSWERERS)
    recast = _ANSWERER.sub(f"{answerer}:", _CALLER.sub(f"{caller}:", text))
    return rng.choice(_VARIANTS)(recast, rng)


def _stripped(text: str, _: random.Random) -> str:
    """Without the words that mark a template's parts."""
    return _MARKER.sub("", text).strip() or text


def _shortened(text: str, rng: random.Random) -> str:
    """Without the middle: what is asked stands at one of the two ends."""
    kept = rng.randint(150, 400)
    return text if len(text) <= 2 * kept else text[:kept] + "\n" + text[-kept:]


def _wrapped(text: str, rng: random.Random) -> str:
    """As a chat client sends it: greetings around it, a turn marker or a system prompt before it."""
    polite = rng.choice(_OPENINGS) + text + rng.choice(_CLOSINGS)
    return rng.choice((polite, polite, f"User: {polite}\nAssistant:", _SYSTEM + polite))


def _careless(text: str, _: random.Random) -> str:
    """As people type: lower case, no mark at the end."""
    return text.lower().rstrip(".?!: \n") or text


def _kept(text: str, _: random.Random) -> str:
    return text


_VARIANTS = (_stripped, _shortened, _wrapped, _careless, _kept)
