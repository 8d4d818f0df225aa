"""Which addresses the hub may call: the guard against requests into the network the site stands in. Pure.

Asked twice: of the URL, when it is saved (`check_url`), and of every address its name leads to, at each connect (`resolve`).
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

import idna

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2048

_URL = re.compile(r"(?i)([a-z][a-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What an URL parser takes for (a part of) an IPv4 address: WHATWG URL, "ends in a number".
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# RFC 5214: the identifier that marks an IPv4 address in the lower half of an IPv6 address.
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}

# Python's own `is_private`, `is_global` and the like differ from version to version. Sources: the IANA special-purpose address
# registries; RFC 3879 for site-local.
_REFUSED = tuple(
	(ipaddress.ip_network(network), kind)
	for network, kind in (
		("0.0.0.0/8", "unspecified"),
		("10.0.0.0/8", "private"),
		("100.64.0.0/10", "shared by a carrier's customers"),
		("127.0.0.0/8", "loopback"),
		# Azure's host speaks to its guests from here, though the address looks public.
		("168.63.129.16/32", "a cloud's own service"),
		("169.254.0.0/16", "link-local"),
		("172.16.0.0/12", "private"),
		("192.0.0.0/24", "reserved"),
		("192.0.2.0/24", "documentation"),
		("192.88.99.0/24", "6to4 relay"),
		("192.168.0.0/16", "private"),
		("198.18.0.0/15", "benchmarking"),
		("198.51.100.0/24", "documentation"),
		("203.0.113.0/24", "documentation"),
		("224.0.0.0/4", "multicast"),
		("255.255.255.255/32", "broadcast"),
		("240.0.0.0/4", "reserved"),
		("::/128", "unspecified"),
		("::1/128", "loopback"),
		("::ffff:0:0/96", "an IPv4 address in IPv6"),
		("::/96", "an IPv4 address in IPv6"),
		("64:ff9b::/96", "NAT64"),
		("64:ff9b:1::/48", "NAT64"),
		("2001::/32", "Teredo"),
		("2001:2::/48", "benchmarking"),
		("2001::/23", "reserved"),
		("2001:db8::/32", "documentation"),
		("2002::/16", "6to4"),
		("3fff::/20", "documentation"),
		("fc00::/7", "private"),
		("fe80::/10", "link-local"),
		("fec0::/10", "site-local"),
		("ff00::/8", "multicast"),
	)
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")


def _(sentence: str) -> str:
	"""Mark a sentence for the translators. Whoever shows it translates it: this module knows no language."""
	return sentence


class AddressRefused(ValueError):
	"""The hub must not call this address.

	`str()` is the sentence in English; people are shown `_(refused.sentence).format(*refused.values)`.
	"""

	def __init__(self, sentence: str, *values: object):
		super().__init__(sentence.format(*values))
		self.sentence = sentence
		self.values = values


class NameUnknown(AddressRefused):
	"""The DNS has no address for this name, now."""


@dataclass(frozen=True)
class Rules:
	"""What the site's administrators allow.

	`allowed_networks` are private networks they have opened; `proxy` (`http://[user:password@]host:port`) is the only way out.
	"""

	allow_http: bool = False
	ports: frozenset[int] = frozenset({443, 8443})
	allowed_networks: tuple[Network, ...] = ()
	proxy: str | None = None

	@property
	def open_ports(self) -> frozenset[int]:
		return self.ports | {80} if self.allow_http else self.ports


@dataclass(frozen=True)
class Target:
	"""A checked URL in its parts, ASCII throughout; `host` is lower case, without brackets and final dot."""

	scheme: str
	host: str
	port: int
	path: str

	@property
	def authority(self) -> str:
		"""Return `host:port` as in a CONNECT request (RFC 9110, 7.2)."""
		return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

	@property
	def host_header(self) -> str:
		default = {"http": 80, "https": 443}[self.scheme]
		return self.authority.removesuffix(f":{default}")


@dataclass(frozen=True)
class Proxy:
	"""An egress proxy: where it listens, and (user, password) if it asks for them."""

	host: str
	port: int
	login: tuple[str, str] | None = None


def check_url(url: str, rules: Rules) -> Target:
	"""Return the parts of a URL the hub may call, as far as can be said without looking up its name.

	Raises:
		AddressRefused
	"""
	_check_characters(url)
	match = _URL.fullmatch(url)
	if not match:
		raise AddressRefused(_("This is no full URL. Write it like https://shop.example.com/webhooks."))
	scheme, authority, path, fragment = match.groups()
	scheme = scheme.lower()
	_check_scheme(scheme, rules)
	if fragment is not None:
		raise AddressRefused(_("Leave out the fragment: # and what follows it never reach the receiver."))
	host, port = _host_and_port(authority, scheme)
	if port not in rules.open_ports:
		ports = ", ".join(str(port) for port in sorted(rules.open_ports))
		raise AddressRefused(
			_("Port {0} is not open for calls from this site. Use one of: {1}."), port, ports
		)
	host = _checked_host(host, rules)
	path = path if path.startswith("/") else f"/{path}"
	# As browsers do: what is not ASCII goes out as percent-encoded UTF-8; escapes already there stay.
	return Target(scheme, host, port, quote(path, safe="!\"#$%&'()*+,/:;<=>?@[]^`{|}~"))


def check_address(address: str | Address, rules: Rules) -> None:
	"""Let a public address pass, and one in a network that was opened.

	Raises:
		AddressRefused: also for each IPv6 form that carries an IPv4 address, whatever that is.
	"""
	address = ipaddress.ip_address(address)
	plain = getattr(address, "ipv4_mapped", None) or address
	if any(plain in network or address in network for network in rules.allowed_networks):
		return
	kind = _kind(address)
	if kind:
		raise AddressRefused(
			_(
				"{0} is no address on the public internet ({1}). Use a public address, or ask an administrator of "
				"this site to open its network in Hub Settings."
			),
			address,
			kind,
		)


def resolve(
	host: str, port: int, rules: Rules, getaddrinfo: Callable[..., list] = socket.getaddrinfo
) -> list[Address]:
	"""Look a name up once and return its addresses in the order of the answer, each of them checked.

	Raises:
		AddressRefused: one of the addresses is refused; which others there are makes no difference.
		NameUnknown
	"""
	try:
		answers = getaddrinfo(host, port, type=socket.SOCK_STREAM)
	except (OSError, UnicodeError):
		answers = []
	if not answers:
		raise NameUnknown(_("The name {0} has no address in the DNS. Check its spelling."), host)
	addresses = list(dict.fromkeys(ipaddress.ip_address(answer[4][0]) for answer in answers))
	for address in addresses:
		_check_answer(host, address, rules)
	return addresses


def check_proxy(url: str) -> Proxy:
	"""Return the parts of an egress proxy's URL. Its address is the operator's choice and not checked.

	Raises:
		AddressRefused
	"""
	try:
		parts = urlsplit(url)
		host, port = parts.hostname, parts.port
	except ValueError:
		parts = host = port = None
	if not host or not port or parts.scheme != "http" or parts.path not in ("", "/"):
		raise AddressRefused(_("Write the proxy like http://proxy.example.com:3128."))
	login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
	return Proxy(host, port, login)


def _check_characters(url: str) -> None:
	if len(url) > LONGEST_URL:
		raise AddressRefused(_("The URL is too long: {0} characters are allowed."), LONGEST_URL)
	if "\\" in url or any(not character.isprintable() or character.isspace() for character in url):
		raise AddressRefused(
			_(
				"The URL holds a blank, a backslash or an invisible character. Take it out, or percent-encode it."
			)
		)


def _check_scheme(scheme: str, rules: Rules) -> None:
	if scheme == "http" and not rules.allow_http:
		raise AddressRefused(
			_(
				"Use https. Plain http would show the payload to everyone on the way; this site does not allow it."
			)
		)
	if scheme not in ("http", "https"):
		raise AddressRefused(_("{0}:// is not supported. Use an https:// URL."), scheme)


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
	if "@" in authority:
		raise AddressRefused(
			_("Take user name and password out of the URL, and everything up to the @ with them.")
		)
	if "%" in authority:
		raise AddressRefused(_("The host holds a %. Write it as it is, without percent-encoding or zone."))
	match = _AUTHORITY.fullmatch(authority)
	if not match:
		raise AddressRefused(
			_("{0} is no host with an optional port. Write it like shop.example.com:8443."), authority
		)
	host, port = match.groups()
	return host, int(port) if port else {"http": 80, "https": 443}[scheme]


def _checked_host(host: str, rules: Rules) -> str:
	if host.startswith("["):
		return _ip_literal(host[1:-1], ipaddress.IPv6Address, rules)
	host = _ascii(host).removesuffix(".")
	labels = host.split(".")
	if _NUMBER.fullmatch(labels[-1]):
		return _ip_literal(host, ipaddress.IPv4Address, rules)
	if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
		raise AddressRefused(_("{0} is no valid host name. Check its spelling."), host)
	return host


def _ascii(host: str) -> str:
	"""IDNA 2008 after the mapping of UTS 46: what a browser would make of it, or a refusal."""
	if host.isascii() and "xn--" not in host.lower():
		return host.lower()
	try:
		return idna.encode(host, uts46=True, std3_rules=True).decode()
	except UnicodeError as e:
		raise AddressRefused(_("{0} is no valid international host name. Check its spelling."), host) from e


def _ip_literal(text: str, form: Callable[[str], Address], rules: Rules) -> str:
	try:
		address = form(text)
	except ValueError:
		raise AddressRefused(
			_("{0} is an unusual form of an IP address. Write it like 198.41.0.4 or [2001:503:ba3e::2:30]."),
			text,
		) from None
	check_address(address, rules)
	return str(address)


def _check_answer(host: str, address: Address, rules: Rules) -> None:
	try:
		check_address(address, rules)
	except AddressRefused:
		if host == str(address):
			raise
		raise AddressRefused(
			_(
				"{0} leads to {1}, which is no address on the public internet ({2}). Use a public address, or ask an "
				"administrator of this site to open its network in Hub Settings."
			),
			host,
			address,
			_kind(address),
		) from None


def _kind(address: Address) -> str | None:
	"""Say what keeps an address from being an ordinary public one; None: nothing does."""
	listed = next((kind for network, kind in _REFUSED if address in network), None)
	if listed or address.version == 4:
		return listed
	if address not in _GLOBAL_IPV6:
		return "reserved"
	return "ISATAP" if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP else None
