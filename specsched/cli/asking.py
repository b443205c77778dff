"""Options that make a request, shared by `generate` and `decide`."""

import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer

from specsched.errors import SetupError
from specsched.records import ChatMessage, ChatPrompt, Prompt, Request, Sampling, SpeculationHint, Stopping, TextPrompt

PromptArgument = Annotated[str, typer.Argument(help="The prompt; - reads standard input.")]
RawOption = Annotated[bool, typer.Option("--raw", help="Complete the text as it stands, without the chat template.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", help="Longest completion, in tokens.")]
TemperatureOption = Annotated[float, typer.Option("--temperature", help="0 is greedy.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Equal seeds give equal completions.")]
ClassOption = Annotated[str | None, typer.Option("--class", help="The prompt's class, if you know it.")]
DraftOption = Annotated[str | None, typer.Option("--draft", help="Use this draft.")]
GammaOption = Annotated[int | None, typer.Option("--gamma", help="Use this γ in every round; 0 is plain decoding.")]
CautiousOption = Annotated[
    bool, typer.Option("--no-exploration", help="Play what is believed to be best; try nothing on this request.")
]
PlainOption = Annotated[bool, typer.Option("--plain", help="Decode without speculation.")]


def make_request(
    prompt: str,
    *,
    raw: bool,
    max_tokens: int,
    sampling: Sampling,
    prompt_class: str | None,
    hint: SpeculationHint,
    stop: tuple[str, ...] = (),
) -> Request:
    """Build a request from options. What is wrong with it, the service says."""
    return Request(
        request_id=uuid.uuid4().hex,
        prompt=_prompt(_text(prompt), raw=raw),
        sampling=sampling,
        stopping=Stopping(max_tokens=max_tokens, stop=stop),
        speculation=hint,
        prompt_class=prompt_class,
    )


def _prompt(text: str, *, raw: bool) -> Prompt:
    return TextPrompt(text) if raw else ChatPrompt((ChatMessage("user", text),))


def _text(prompt: str) -> str:
    if prompt != "-":
        return prompt
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise SetupError(f"{Path('-')}: standard input is no text in {sys.stdin.encoding}") from None
