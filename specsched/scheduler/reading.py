"""From a prompt, whichever kind it is, to token ids, text and class probabilities."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from specsched.classify.base import Classifier
from specsched.records import ChatPrompt, ClassProbabilities, Prompt, Request, TextPrompt
from specsched.text.tokenizer import Tokenizer

_SHORT_CHARACTERS = 1_000
"""Such a prompt takes well under a millisecond; a thread costs its callers a good part of that."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt, read."""

    token_ids: tuple[int, ...]
    text: str
    said: str
    """What was classified: the text without a chat template's own."""
    class_probabilities: ClassProbabilities
    classify_seconds: float | None = None
    """None when the caller named the class."""


class Reader:
    """Tokenises and classifies."""

    def __init__(
        self, tokenizer: Tokenizer, classifier: Classifier, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokenizer = tokenizer
        self._classifier = classifier
        self._clock = clock

    @property
    def prompt_classes(self) -> tuple[str, ...]:
        """Classes that prompts can be of."""
        return self._classifier.classes

    async def read_aside(self, request: Request) -> Reading:
        """Read long prompts off the event loop, short ones at once; raises as `read` does."""
        if _size(request.prompt) <= _SHORT_CHARACTERS:
            return self.read(request)
        return await asyncio.to_thread(self.read, request)

    def read(self, request: Request) -> Reading:
        """Read a request's prompt.

        Raises:
            InvalidRequest: the chat template refuses the messages.
        """
        prompt = request.prompt
        if isinstance(prompt, TextPrompt):
            ids, text, said = self._tokenizer.encode(prompt.text), prompt.text, prompt.text
        elif isinstance(prompt, ChatPrompt):
            text = self._tokenizer.render(prompt)
            ids = self._tokenizer.encode(text, special_tokens=False)
            said = "\n".join(message.content for message in prompt.messages)
        else:
            ids = prompt.token_ids
            text = said = self._decoded(ids)
        if request.prompt_class is not None:
            known = tuple(dict.fromkeys((*self.prompt_classes, request.prompt_class)))  # it may be the policy's own
            return Reading(ids, text, said, ClassProbabilities.certain(request.prompt_class, known))
        started = self._clock()
        classes = self._classifier.classify(said)
        return Reading(ids, text, said, classes, self._clock() - started)

    def _decoded(self, token_ids: tuple[int, ...]) -> str:
        """Ids outside the vocabulary have no text; the request is refused after this, with all that is wrong."""
        return self._tokenizer.decode([token for token in token_ids if 0 <= token < self._tokenizer.vocab_size])


def _size(prompt: Prompt) -> int:
    """About how many characters it has."""
    if isinstance(prompt, TextPrompt):
        return len(prompt.text)
    if isinstance(prompt, ChatPrompt):
        return sum(len(message.content) for message in prompt.messages)
    return _CHARACTERS_PER_TOKEN * len(prompt.token_ids)
