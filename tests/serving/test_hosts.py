"""Names by which the studio is reached, as they are typed, and as browsers send them."""

import pytest

from sfumato.errors import InputError
from sfumato.serving.hosts import LOOPBACK, bracketed, hosts_of, listened, opened_at, outside_of, split_host


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("Studio.LAN", "studio.lan", None),
        ("127.0.0.1:7860", "127.0.0.1", 7860),
        ("[::1]:7860", "[::1]", 7860),
        ("[2001:0DB8:0:0::0005]", "[2001:db8::5]", None),
        ("::1", "", None),
        ("::1:7860", "", None),
        ("[::1", "", None),
        ("[::1%25lo]", "", None),
        ("[1.2.3.4]", "", None),
        ("a:b", "", None),
        ("a:\u0661", "", None),
        ("a:123456", "", None),
        ("", "", None),
    ],
)
def test_a_host_is_taken_apart(host: str, name: str, port: int | None) -> None:
    assert split_host(host) == (name, port)


def test_names_are_kept_as_browsers_send_them() -> None:
    given = ("Studio.lan", "studio.lan:8000", "[2001:DB8::0:5]:80", "192.168.1.5")
    assert hosts_of(given) == {
        *LOOPBACK,
        "studio.lan",
        "studio.lan:8000",
        "[2001:db8::5]:80",
        "192.168.1.5",
    }


@pytest.mark.parametrize(
    "name",
    ["", "::1", "::1:80", "http://studio.lan", "[::1", "[fe80::1%25eth0]", "a b", "a/b", "*", "b\u00fccher"],
)
def test_what_is_no_name_is_said(name: str) -> None:
    with pytest.raises(InputError, match="is no name of a host") as caught:
        hosts_of((name,))
    assert caught.value.field == "name"


def test_an_ipv6_address_without_brackets_is_shown_with_them() -> None:
    with pytest.raises(InputError, match=r"without http://: \[2001:db8::5\]"):
        hosts_of(("2001:db8::5",))


@pytest.mark.parametrize(
    ("typed", "address", "name", "url"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", "http://127.0.0.1:80/"),
        ("Studio.LAN", "studio.lan", "studio.lan", "http://studio.lan:80/"),
        ("::1", "::1", "[::1]", "http://[::1]:80/"),
        ("[::1]", "::1", "[::1]", "http://[::1]:80/"),
        ("0:0:0:0:0:0:0:1", "::1", "[::1]", "http://[::1]:80/"),
        ("2001:DB8::5", "2001:db8::5", "[2001:db8::5]", "http://[2001:db8::5]:80/"),
        # The zone is for sockets: browsers send none, and RFC 6874 writes it so.
        ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1]", "http://[fe80::1%25eth0]:80/"),
        # Nobody can open all addresses.
        ("::", "::", "[::]", "http://[::1]:80/"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0", "http://127.0.0.1:80/"),
    ],
)
def test_addresses_to_listen_at(typed: str, address: str, name: str, url: str) -> None:
    assert listened(typed) == address
    assert bracketed(address) == name
    assert opened_at(address, 80) == url


@pytest.mark.parametrize(
    "address",
    [
        "",
        "[::1]:7860",
        "[::1",
        "::1]",
        "[[::1]]",
        "[localhost]",
        "1.2.3.4:80",
        "http://a",
        "::g",
        "a b",
        "a..b",
        "-a",
    ],
)
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(InputError, match="is no address") as caught:
        listened(address)
    assert caught.value.field == "listen"


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://pictures.example.org", "https://pictures.example.org"),
        ("HTTPS://Pictures.Example.org:443/", "https://pictures.example.org"),
        ("https://pictures.example.org:8443/", "https://pictures.example.org:8443"),
        ("http://studio.lan:80", "http://studio.lan"),
        ("http://studio.lan:443", "http://studio.lan:443"),
        ("https://[2001:DB8:0::5]:8443", "https://[2001:db8::5]:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://192.168.1.5", "https://192.168.1.5"),
    ],
)
def test_addresses_of_a_proxy_are_as_browsers_name_them(typed: str, origin: str) -> None:
    assert outside_of(typed) == origin


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("pictures.example.org", "has to begin with https://"),
        ("//pictures.example.org", "has to begin with https://"),
        ("ftp://pictures.example.org", "has to begin with https://"),
        ("javascript:alert(1)", "has to begin with https://"),
        ("", "has to begin with https://"),
        ("https://", "is no address"),
        ("https://x:0", "is no address"),
        ("https://x:99999", "is no address"),
        ("https://x:web", "is no address"),
        ("https://[::1", "is no address"),
        ("https://::1", "is no address"),
        ("https://[fe80::1%25eth0]", "is no address"),
        ("https://*.example.org", "is no address"),
        ("https://a,b", "is no address"),
        ("https://a\\b", "is no address"),
        ("https://127.1", "is no address"),
        ("https://1.2.3.256", "is no address"),
        ("https://a/studio", "has a path"),
        ("https://a?x", "has a path"),
        ("https://a#", "has a path"),
        ("https:a", "has a path"),
        ("https://b\u00fccher.example", "has letters that browsers do not send"),
        ("https://a\t.example", "has letters that browsers do not send"),
        (" https://a", "has letters that browsers do not send"),
    ],
)
def test_what_is_no_address_of_a_proxy_is_said(typed: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        outside_of(typed)
    assert caught.value.field == "outside"
    assert "https://pictures.example.org" in str(caught.value)


@pytest.mark.parametrize("user", ["sfumato:secret", "secret", "secret@x"])
def test_passwords_in_an_address_are_refused_and_not_repeated(user: str) -> None:
    with pytest.raises(InputError, match="has a user or a password in it") as caught:
        outside_of(f"https://{user}@pictures.example.org")
    assert "secret" not in str(caught.value)
