"""Names by which the studio is reached, as browsers write them: in Host, in Origin, and in addresses.

IPv6 stands in brackets there, in lower case and as short as can be (RFC 3986 and 5952), and without the zone
of a link, which only this machine knows.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urlsplit

from sfumato.errors import InputError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # all addresses, and one that leads there
PORTS: Final = {"http": 80, "https": 443}  # which browsers leave out
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+)(?::([0-9]{1,5}))?")
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")


def split_host(host: str) -> tuple[str, int | None]:
    """Return the name in a Host, and the port if there is one; an empty name for what is no host."""
    found = _HOST.fullmatch(host)
    if found is None:
        return "", None
    name = found[1].lower()
    if name.startswith("["):
        address = _ipv6(name[1:-1])
        name = "" if address is None else bracketed(str(address))
    return name, None if found[2] is None else int(found[2])


def hosts_of(names: Iterable[str]) -> frozenset[str]:
    """Return `names` of hosts, with or without ports, as a `Guard` takes them, with this machine's own.
    Raises InputError for one that is no name.
    """
    return frozenset({*LOOPBACK, *map(_named, names)})


def listened(address: str) -> str:
    """Return an address to listen at as sockets take it: IPv6 without brackets. Raises InputError."""
    inner = address[1:-1] if re.fullmatch(r"\[.*\]", address) else address
    found = _ipv6(inner)
    if found is not None:
        return str(found)
    if inner != address or _NAME.fullmatch(address) is None:
        hint = "Give one such as 192.168.1.5, ::1 or studio.lan; the port has an option of its own."
        raise InputError("is no address", field="listen", value=address, hint=hint)
    return address.lower()


def bracketed(address: str) -> str:
    """Return a listened address as the name of a host."""
    return f"[{address.partition('%')[0]}]" if ":" in address else address


def opened_at(address: str, port: int) -> str:
    """Return the address of the page on this machine; a zone is written as RFC 6874 asks for."""
    address = EVERYWHERE.get(address, address)
    name = f"[{address.replace('%', '%25')}]" if ":" in address else address
    return f"http://{name}:{port}/"


def outside_of(text: str) -> str:
    """Return the address at which a proxy shows the page as browsers name it in Origin: scheme, host, and the
    port where it is not the usual one. Raises InputError for what is none, or is more.
    """
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise _no_outside(text, "has letters that browsers do not send", "They write xn--... for names")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _no_outside(text, "is no address") from None
    if parts.scheme not in PORTS:
        raise _no_outside(text, "has to begin with https:// or http://")
    if "@" in parts.netloc:
        raise _no_outside(None, "has a user or a password in it", "The password is SFUMATO_PASSWORD")
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise _no_outside(text, "has a path: the studio takes a name of its own", "Leave out what follows it")
    name, _ = split_host(parts.netloc)
    if port == 0 or not _is_name(name):
        raise _no_outside(text, "is no address")
    usual = port in (None, PORTS[parts.scheme])
    return f"{parts.scheme}://{name}" if usual else f"{parts.scheme}://{name}:{port}"


def _named(name: str) -> str:
    host, port = split_host(name)
    if not _is_name(host):
        inside = f"[{name}]" if _ipv6(name) else "studio.lan, [2001:db8::5] or studio.lan:8000"
        hint = f"Write it as in the address of the page, without http://: {inside}"
        raise InputError("is no name of a host", field="name", value=name, hint=hint)
    return host if port is None else f"{host}:{port}"


def _is_name(name: str) -> bool:
    if name.startswith("["):
        return True
    if name.rpartition(".")[2].isdecimal():  # browsers take it for IPv4, and write that out
        try:
            return str(IPv4Address(name)) == name
        except AddressValueError:
            return False
    return _NAME.fullmatch(name) is not None


def _ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except AddressValueError:
        return None


def _no_outside(text: str | None, problem: str, hint: str = "") -> InputError:
    hint = f"{hint}. " if hint else ""
    hint = f"{hint}For example: https://pictures.example.org"
    return InputError(problem, field="outside", value=text, hint=hint)
