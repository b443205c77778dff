"""A model's chat template, rendered in a sandbox."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from specsched.errors import InvalidRequest, PoolError, Violation
from specsched.records import ChatMessage


class GenerationBlock(Extension):
    """`{% generation %}…{% endgeneration %}` marks what the assistant says in training; here it is its body."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """Conversation → prompt text, as transformers renders it; `now` is what templates that name the day show."""

    def __init__(
        self, source: str, special_tokens: Mapping[str, str], now: Callable[[], datetime] = datetime.now
    ) -> None:
        self._special_tokens = dict(special_tokens)
        self._template = _compile(source, now)

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """Return the prompt text with the generation prompt at its end.

        Raises:
            InvalidRequest: the template refuses the conversation.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(messages=turns, add_generation_prompt=True, **self._special_tokens)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise refusal(f"the chat template refuses the conversation: {error}") from error


def refusal(description: str) -> InvalidRequest:
    """What a caller sees whose messages cannot be rendered."""
    return InvalidRequest((Violation("messages", description),))


def _compile(source: str, now: Callable[[], datetime]) -> Template:
    # The same environment as transformers' chat templates are written for; immutable, so that they change nothing.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda layout: now().strftime(layout)
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise PoolError(f"chat template: {error}") from error


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(value: Any, **options: Any) -> str:
    # Unlike jinja2's own filter this escapes neither HTML nor letters outside ASCII.
    return json.dumps(value, **{"ensure_ascii": False, **options})
