"""What `generate` and `decide` share: the options that make a request and say who answers it."""

import functools
import inspect
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from specsched.cli.access import CaOption, TokenOption, access_of
from specsched.cli.options import AddressOption, ConfigOption, JsonOption, LogOption, PoolOption, configuration
from specsched.errors import SetupError
from specsched.records import ChatMessage, ChatPrompt, Prompt, Request, Sampling, SpeculationHint, Stopping, TextPrompt

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from specsched.cli.service import Service

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


P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command's options."""

    prompt: PromptArgument
    address: AddressOption = None
    token_file: TokenOption = None
    ca: CaOption = None
    config: ConfigOption = None
    pool: PoolOption = None
    max_tokens: MaxTokensOption = 128
    temperature: TemperatureOption = 0.0
    seed: SeedOption = None
    prompt_class: ClassOption = None
    draft: DraftOption = None
    gamma: GammaOption = None
    log_level: LogOption = "warning"
    plain: PlainOption = False
    no_exploration: CautiousOption = False
    raw: RawOption = False
    as_json: JsonOption = False

    def request(self, *, top_p: float = 1.0, top_k: int = 0, stop: tuple[str, ...] = ()) -> Request:
        """Build the request. What is wrong with it, the service says."""
        return Request(
            request_id=uuid.uuid4().hex,
            prompt=_prompt(_text(self.prompt), raw=self.raw),
            sampling=Sampling(temperature=self.temperature, top_p=top_p, top_k=top_k, seed=self.seed),
            stopping=Stopping(max_tokens=self.max_tokens, stop=stop),
            speculation=SpeculationHint(self.plain, self.draft, self.gamma, disable_exploration=self.no_exploration),
            prompt_class=self.prompt_class,
        )

    def service(self, progress: Callable[[str], None]) -> "AbstractAsyncContextManager[Service]":
        """Reach whoever answers; logging is as the configuration says from here on."""
        from specsched.cli.service import service_at
        from specsched.telemetry.logging import configure_logging

        settings = configuration(self.config, pool=self.pool, log_level=self.log_level)
        configure_logging(settings.log.level, settings.log.format)
        return service_at(self.address, settings, progress, access_of(self.token_file, self.ca))

    @property
    def waits_for(self) -> str:
        """What a user is told meanwhile."""
        return "connecting" if self.address else "loading models"


def asking(command: Callable[Concatenate[Asked, P], None]) -> Callable[..., None]:
    """Give a command these options beside its own."""
    shared = inspect.signature(Asked).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(Asked(**{name: options.pop(name) for name in shared}), **options)  # type: ignore[call-arg]

    parameters = [*shared.values(), *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _prompt(text: str, *, raw: bool) -> Prompt:
    return TextPrompt(text) if raw else ChatPrompt((ChatMessage("user", text),))


def _text(prompt: str) -> str:
    if prompt != "-":
        return prompt
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise SetupError(f"{Path('-')}: standard input is no text in {sys.stdin.encoding}") from None
