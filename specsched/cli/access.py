"""How commands prove who calls: a token, and certificates where the service speaks TLS."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.errors import SetupError

if TYPE_CHECKING:
    from specsched.client.channel import Access

TokenOption = Annotated[
    Path | None, typer.Option("--token-file", envvar="SPECSCHED_TOKEN_FILE", help="Holds the bearer token.")
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", envvar="SPECSCHED_CA_FILE", help="PEM authorities of the service's certificate; speaks TLS."),
]


def access_of(token_file: Path | None, ca: Path | None) -> "Access":
    """Read credentials; the caller's own certificate is named by SPECSCHED_CERTIFICATE_FILE and SPECSCHED_KEY_FILE.

    Raises:
        SetupError: a file cannot be read.
    """
    from specsched.client.channel import Access

    own = (os.environ.get("SPECSCHED_CERTIFICATE_FILE"), os.environ.get("SPECSCHED_KEY_FILE"))
    certificate, key = (read_text(Path(name)).encode() if name else None for name in own)
    roots = None if ca is None else read_text(ca).encode()
    return Access(read_token(token_file), roots, certificate, key)


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
