"""What commands for operators share: the port, the token, one call."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from specsched.cli.access import access_of
from specsched.client.admin import AdminClient

T = TypeVar("T")

AdminOption = Annotated[str, typer.Option("--address", help="The operators' port of a running service.")]
ADMIN_ADDRESS = "127.0.0.1:50072"


def ask(address: str, token_file: Path | None, question: Callable[[AdminClient], Awaitable[T]]) -> T:
    """Ask a service something; over TLS where SPECSCHED_CA_FILE names whom its certificate comes from."""
    ca = os.environ.get("SPECSCHED_CA_FILE")
    access = access_of(token_file, Path(ca) if ca else None)

    async def asked() -> T:
        async with AdminClient(address, access=access) as client:
            return await question(client)

    return asyncio.run(asked())
