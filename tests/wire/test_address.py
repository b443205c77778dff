import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from specsched.errors import AddressInUse, ConfigError
from specsched.wire.address import check_address, is_local


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "50071",
        ":50071",
        "localhost:",
        "localhost:http",
        "localhost:-1",
        "localhost:65536",
        "localhost:000000080",
        "localhost:²",
        "localhost:٣",
        "localhost:" + "9" * 5_000,
        "unix-abstract:x",
        "unix:",
        "unix:/tmp/\0",
        "ä" * 70 + ":50071",
    ],
)
def test_what_is_no_address_is_refused_with_what_would_be_one(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address: expected host:port or unix:PATH") as refused:
        check_address(address)
    assert repr(address) in str(refused.value)


def test_a_port_in_use_is_refused_by_name(taken_port: int) -> None:
    with pytest.raises(AddressInUse, match=rf"cannot listen on 127\.0\.0\.1:{taken_port}: Address already in use"):
        check_address(f"127.0.0.1:{taken_port}")


def test_a_port_can_be_taken_again_as_soon_as_it_is_free(taken_port: int) -> None:
    with socket.create_connection(("127.0.0.1", taken_port)) as caller:
        assert caller.getpeername()[1] == taken_port
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    check_address(f"127.0.0.1:{port}")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(AddressInUse, match=r"cannot listen on 192\.0\.2\.1:50071: Cannot assign"):
        check_address("192.0.2.1:50071")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "0.0.0.0:0", "localhost:0", "[::1]:0", "any.host:0"])
def test_port_0_is_left_to_the_system(address: str) -> None:
    check_address(address)


def path_of(folder: Path, size: int) -> str:
    """A path of so many bytes, whose folder need not exist."""
    return f"{folder}/".ljust(size, "s")


def test_a_socket_path_has_at_most_107_bytes(tmp_path: Path) -> None:
    check_address(f"unix:{path_of(tmp_path, 107)}")
    with pytest.raises(ConfigError, match=r"a socket's path has at most 107 bytes"):
        check_address(f"unix:{path_of(tmp_path, 108)}")
    with pytest.raises(ConfigError, match=r"a socket's path has at most 107 bytes"):
        check_address(f"unix:{path_of(tmp_path, 106)}ü")


def test_a_socket_that_somebody_listens_on_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(str(path))
        holder.listen()
        with pytest.raises(AddressInUse, match=rf"{path} is in use"):
            check_address(f"unix:{path}")
    assert path.is_socket()


def test_a_socket_that_nobody_listens_on_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.is_socket()
    check_address(f"unix:{path}")
    assert not path.exists()


def test_a_living_socket_of_another_type_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        holder.bind(str(path))
        with pytest.raises(AddressInUse, match="is in use"):
            check_address(f"unix:{path}")
    assert path.is_socket()


def test_a_file_in_the_sockets_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("keep", encoding="utf-8")
    for place in (path, tmp_path):
        with pytest.raises(AddressInUse, match=rf"{place} exists and is no socket"):
            check_address(f"unix:{place}")
    assert path.read_text(encoding="utf-8") == "keep"


@pytest.mark.parametrize("address", ["unix:/run/s", "127.0.0.1:1", "127.1.2.3:0", "localhost:1", "[::1]:1"])
def test_this_machine_alone_reaches_loopback_and_sockets(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "localhost.example:1", "example:1"])
def test_others_reach_every_other_address(address: str) -> None:
    assert not is_local(address)
