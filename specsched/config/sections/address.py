"""Addresses that only make sense as host and port."""

from pydantic_core import PydanticCustomError


def host_and_port(address: str) -> str:
    """Refuse what is no host:port."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65_535:
        raise PydanticCustomError("address", "expected host:port")
    return address
