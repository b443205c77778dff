"""TLS: certificates from files, checked before they are used, exchanged while streams run."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from specsched.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one side of a connection."""

    certificate: Path
    key: Path
    ca: Path | None = None
    """Whom the other side's certificate must come from. A server without one asks for none; a client trusts what the
    system trusts."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.certificate, self.key, *((self.ca,) if self.ca else ()))


class ServerCertificates:
    """What new connections to a server see. Those that stand keep what they began with."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files; raises ConfigError."""
        self.files = files
        self._current = _server_configuration(files)

    def read(self) -> Callable[[], None]:
        """Read the files again, and return what puts them in force; raises ConfigError."""
        return partial(setattr, self, "_current", _server_configuration(self.files))

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask for the certificate at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._current, lambda: self._current, require_client_authentication=self.files.ca is not None
        )


class ChannelCertificates:
    """What a client shows, its own certificate included; calling it returns what is in force."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files; raises ConfigError."""
        self.files = files
        self._current = _channel_credentials(files)

    def read(self) -> Callable[[], None]:
        """Read the files again, and return what puts them in force; raises ConfigError."""
        return partial(setattr, self, "_current", _channel_credentials(self.files))

    def __call__(self) -> grpc.ChannelCredentials:
        """Return the credentials: the same object until the files were read again."""
        return self._current


def _channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    key, certificate, ca = _checked(files)
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _server_configuration(files: TlsFiles) -> Any:
    key, certificate, ca = _checked(files)
    return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=ca)


def _checked(files: TlsFiles) -> tuple[bytes, bytes, bytes | None]:
    """Read key, certificate and CA; refuse what gRPC would take and fail on at every handshake."""
    key, certificate = _read(files.key), _read(files.certificate)
    ca = None if files.ca is None else _read(files.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ConfigError(f"{files.certificate} and {files.key}: no certificate with its key, unencrypted") from error
    if files.ca is not None:
        try:
            context.load_verify_locations(files.ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"{files.ca}: no certificate of an authority") from error
    if (key, certificate) != (_read(files.key), _read(files.certificate)):
        raise ConfigError(f"{files.certificate}: changes while it is read")
    return key, certificate, ca


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error


def open_channel(
    address: str, credentials: grpc.ChannelCredentials | None, options: Sequence[tuple[str, int]]
) -> grpc.aio.Channel:
    """Open a client's channel: plain without credentials, and to Unix sockets, where the file system says who may."""
    if credentials is None or address.startswith("unix:"):
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)
