"""What every test gets: no network, no model hub, no deadlines on a shared machine."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # before any test imports the hub client
os.environ["TRANSFORMERS_OFFLINE"] = "1"

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: those that share cores slow each other

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts what runs in its background; tests press Ctrl-C in processes that inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("house", deadline=None, max_examples=50)
settings.load_profile("house")

_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_LINKS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
_LOOPBACK = ("localhost", "::1")


class NetworkUsed(RuntimeError):
    """A test, or a library below it, tried to leave this machine."""


@pytest.fixture(scope="session")
def network_guard() -> list[str]:
    """Refuse every socket that is not loopback or a Unix socket, and keep a list of what was tried.

    An audit hook sees each call into the C socket module, so that no wrapper around it is missed. Hooks stay
    until the interpreter ends.
    """
    attempts: list[str] = []

    def refuse(event: str, args: tuple[object, ...]) -> None:
        if not event.startswith("socket.") or os.environ.get("SFUMATO_TESTS_NETWORK") == "1":
            return
        if event in _LOOKUPS:
            host = args[0]
        elif event in _LINKS:
            address = args[1]
            if not isinstance(address, tuple):  # a Unix socket's path, or None: already connected
                return
            host = address[0]
        else:
            return
        if not _is_local(host):
            attempts.append(f"{event} {host!r}")
            raise NetworkUsed(f"{event}: {host!r} is not this machine")

    sys.addaudithook(refuse)
    return attempts


@pytest.fixture(autouse=True)
def no_network(
    network_guard: list[str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a test that tried to use the network, even where a library swallowed the refusal."""
    if request.node.get_closest_marker("network") is not None:
        monkeypatch.setenv("SFUMATO_TESTS_NETWORK", "1")
    network_guard.clear()
    yield
    assert not network_guard, f"sockets were tried: {network_guard}"


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return host is None or (isinstance(host, str) and (host in _LOOPBACK or host.startswith("127.")))
