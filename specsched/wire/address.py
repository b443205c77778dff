"""Addresses as people write them: host:port, or unix:PATH."""

import errno
import os
import socket
import stat
from pathlib import Path

from specsched.errors import AddressInUse, ConfigError

_UNIX = "unix:"
_LONGEST_SOCKET_PATH = 107  # sun_path holds 108 bytes, the last one 0
_LOOPBACK = ("127.", "localhost:", "[::1]:")


def check_address(address: str) -> None:
    """Refuse what gRPC would accept or reject without a clear word.

    Raises:
        ConfigError: no host:port and no unix:PATH, or a socket path that the system cuts.
        AddressInUse: somebody listens there.
    """
    if address.startswith(_UNIX):
        _check_socket_path(address.removeprefix(_UNIX))
        return
    host, _, port = address.rpartition(":")
    if not host or not _is_port(port):
        raise ConfigError(_no_address(address))
    if int(port):
        _check_port_free(host.strip("[]"), int(port), address)


def is_local(address: str) -> bool:
    """Whether only this machine can reach the address."""
    return address.startswith((_UNIX, *_LOOPBACK))


def _no_address(address: str) -> str:
    return f"{address!r} is no address: expected host:port or unix:PATH"


def _is_port(port: str) -> bool:
    return port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535


def _check_socket_path(path: str) -> None:
    if not path or "\0" in path:
        raise ConfigError(_no_address(f"{_UNIX}{path}"))
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise ConfigError(f"{path}: a socket's path has at most {_LONGEST_SOCKET_PATH} bytes")
    if not Path(path).exists():
        return
    if not stat.S_ISSOCK(Path(path).stat().st_mode):
        raise AddressInUse(f"{path} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT):  # any other refusal is somebody's own
            raise AddressInUse(f"{path} is in use")
    Path(path).unlink(missing_ok=True)  # left behind by a process that was killed


def _check_port_free(host: str, port: int, address: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressInUse(f"cannot listen on {address}: {error.strerror}") from error
        except (UnicodeError, TypeError) as error:  # a host that no resolver can be asked for
            raise ConfigError(_no_address(address)) from error
