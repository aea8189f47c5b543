"""The network guard guards."""

import socket
from pathlib import Path

import pytest


def test_an_outside_address_is_refused_and_noted(network_guard: list[str]) -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="not this machine"):
        outside.connect(("192.0.2.1", 80))  # RFC 5737: an address for documentation
    with pytest.raises(RuntimeError, match="not this machine"):
        socket.getaddrinfo("example.org", 443)
    assert len(network_guard) == 2
    network_guard.clear()


def test_loopback_works() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        client.sendall(b"hello")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_unix_sockets_work(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
