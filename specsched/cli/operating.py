"""What commands for operators share: the port, the token, one call."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from specsched.client.admin import AdminClient
from specsched.client.channel import Access
from specsched.errors import SetupError

T = TypeVar("T")

AdminOption = Annotated[str, typer.Option("--address", help="The operators' port of a running service.")]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", envvar="SPECSCHED_TOKEN_FILE", help="Holds the bearer token.")
]
ADMIN_ADDRESS = "127.0.0.1:50072"


def ask(address: str, token_file: Path | None, question: Callable[[AdminClient], Awaitable[T]]) -> T:
    """Ask a service something."""

    async def asked() -> T:
        async with AdminClient(address, access=Access(read_token(token_file))) as client:
            return await question(client)

    return asyncio.run(asked())


def read_token(file: Path | None) -> str | None:
    """Read a token; raises SetupError."""
    return None if file is None else read_text(file).strip()


def read_text(file: Path) -> str:
    """Read a file that an operator named; raises SetupError."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{file}: no UTF-8 text") from error
