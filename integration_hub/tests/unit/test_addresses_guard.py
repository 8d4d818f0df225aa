"""Which URLs and addresses the hub may call: every form in which an inner address has been smuggled past a guard."""

import ipaddress
import socket

import pytest

from integration_hub.core.addresses import (
	LONGEST_URL,
	AddressRefused,
	NameUnknown,
	Proxy,
	Rules,
	Target,
	check_address,
	check_proxy,
	check_url,
	resolve,
)

RULES = Rules()
HTTP = Rules(allow_http=True)


def networks(*texts: str) -> tuple:
	return tuple(ipaddress.ip_network(text) for text in texts)


@pytest.mark.parametrize(
	("url", "target"),
	[
		("https://shop.example.com/hooks", ("shop.example.com", 443, "/hooks")),
		("https://shop.example.com", ("shop.example.com", 443, "/")),
		("HTTPS://Shop.EXAMPLE.com/Hooks", ("shop.example.com", 443, "/Hooks")),
		("https://shop.example.com:443/", ("shop.example.com", 443, "/")),
		("https://shop.example.com:8443/a", ("shop.example.com", 8443, "/a")),
		("https://shop.example.com./a", ("shop.example.com", 443, "/a")),
		("https://shop.example.com/a?b=c&d=%20", ("shop.example.com", 443, "/a?b=c&d=%20")),
		("https://shop.example.com?b=c", ("shop.example.com", 443, "/?b=c")),
		("https://shop.example.com/@you", ("shop.example.com", 443, "/@you")),
		("https://shop.example.com/a?u=https://x@y/", ("shop.example.com", 443, "/a?u=https://x@y/")),
		("https://shop.example.com/straße", ("shop.example.com", 443, "/stra%C3%9Fe")),
		("https://shop.example.com//a/../b", ("shop.example.com", 443, "//a/../b")),
		("https://bücher.example/a", ("xn--bcher-kva.example", 443, "/a")),
		("https://BÜCHER.example./a", ("xn--bcher-kva.example", 443, "/a")),
		("https://xn--bcher-kva.example/a", ("xn--bcher-kva.example", 443, "/a")),
		("https://faß.example/", ("xn--fa-hia.example", 443, "/")),
		("https://ｓｈｏｐ.example/", ("shop.example", 443, "/")),
		("https://shop。example/", ("shop.example", 443, "/")),
		("https://my_shop.example.com/", ("my_shop.example.com", 443, "/")),
		("https://intranet/", ("intranet", 443, "/")),
		("https://127.0.0.1.example.com/", ("127.0.0.1.example.com", 443, "/")),
		("https://0x7f.example.com/", ("0x7f.example.com", 443, "/")),
		("https://8.8.8.8/", ("8.8.8.8", 443, "/")),
		("https://8.8.8.8.:8443/", ("8.8.8.8", 8443, "/")),
		("https://[2606:4700::1111]/", ("2606:4700::1111", 443, "/")),
		("https://[2606:4700:0:0::1111]:8443/a", ("2606:4700::1111", 8443, "/a")),
	],
)
def test_urls_that_are_fine(url, target):
	assert check_url(url, RULES) == Target("https", *target)


UNUSUAL = "unusual form of an IP address"
NOT_PUBLIC = "no address on the public internet"
INVISIBLE = "a blank, a backslash or an invisible character"


@pytest.mark.parametrize(
	("url", "because"),
	[
		# not a URL, or of another kind
		("", "no full URL"),
		("shop.example.com/a", "no full URL"),
		("//shop.example.com/a", "no full URL"),
		("https:/shop.example.com", "no full URL"),
		("https:shop.example.com", "no full URL"),
		("/hooks", "no full URL"),
		("http://shop.example.com/", "Use https"),
		("HTTP://shop.example.com/", "Use https"),
		("ftp://shop.example.com/", "ftp:// is not supported"),
		("file:///etc/passwd", "file:// is not supported"),
		("gopher://127.0.0.1:6379/_x", "gopher:// is not supported"),
		("javascript://shop.example.com/", "javascript:// is not supported"),
		("https://shop.example.com/a#b", "Leave out the fragment"),
		("https://shop.example.com/#", "Leave out the fragment"),
		("https://shop.example.com#@evil.example", "Leave out the fragment"),
		# credentials
		("https://me:secret@shop.example.com/", "user name and password"),
		("https://me@shop.example.com/", "user name and password"),
		("https://@shop.example.com/", "user name and password"),
		("https://8.8.8.8@127.0.0.1/", "user name and password"),
		("https://shop.example.com:443@127.0.0.1/", "user name and password"),
		# ports
		("https://shop.example.com:80/", "Port 80 is not open"),
		("https://shop.example.com:22/", "Port 22 is not open"),
		("https://shop.example.com:6379/", "Port 6379 is not open"),
		("https://shop.example.com:65536/", "Port 65536 is not open"),
		("https://shop.example.com:0443/", "no host with an optional port"),
		("https://shop.example.com:0/", "no host with an optional port"),
		("https://shop.example.com:/", "no host with an optional port"),
		("https://shop.example.com:-1/", "no host with an optional port"),
		("https://shop.example.com:443:443/", "no host with an optional port"),
		("https://shop.example.com:４４３/", "no host with an optional port"),
		("https://shop.example.com:https/", "no host with an optional port"),
		# characters
		(" https://shop.example.com/", INVISIBLE),
		("https://shop.example.com/ ", INVISIBLE),
		("https://shop.example.com/a b", INVISIBLE),
		("https://shop.example.com/a\r\nX-Evil: 1", INVISIBLE),
		("https://shop.example.com\t/", INVISIBLE),
		("https://shop.example.com\0.evil.example/", INVISIBLE),
		("https://shop.example.com\\@127.0.0.1/", INVISIBLE),
		("https:\\\\shop.example.com/", INVISIBLE),
		("https://shop\u200b.example.com/", INVISIBLE),
		("https://shop\u00ad.example.com/", INVISIBLE),
		("https://shop.example.com/\u202egnp.exe", INVISIBLE),
		("https://shop.example.com/\u2028", INVISIBLE),
		("https://shop.example.com/\ud800", INVISIBLE),
		("https://shop.example.com/" + "a" * LONGEST_URL, "too long"),
		# hosts
		("https://", "no valid host name"),
		("https:///hooks", "no valid host name"),
		("https://./", "no valid host name"),
		("https://shop..example.com/", "no valid host name"),
		("https://shop.example.com../", "no valid host name"),
		("https://.example.com/", "no valid host name"),
		("https://-shop.example.com/", "no valid host name"),
		("https://shop-.example.com/", "no valid host name"),
		("https://shop,example.com/", "no valid host name"),
		("https://shop.example.com;evil/", "no valid host name"),
		("https://" + "a" * 64 + ".example.com/", "no valid host name"),
		("https://" + "a." * 127 + "example/", "no valid host name"),
		("https://xn--a.example/", "no valid international host name"),
		("https://bücher..example/", "no valid international host name"),
		("https://shop／x.example/", "no valid international host name"),
		("https://shop℀.example/", "no valid international host name"),
		("https://127.0.0.1%2f.example.com/", "holds a %"),
		("https://%31%32%37.0.0.1/", "holds a %"),
		("https://shop.example.com%00/", "holds a %"),
		("https://[fe80::1%eth0]/", "holds a %"),
		("https://[fe80::1%25eth0]/", "holds a %"),
		# IPv4 in other clothes
		("https://2130706433/", UNUSUAL),
		("https://017700000001/", UNUSUAL),
		("https://0x7f000001/", UNUSUAL),
		("https://0X7F000001/", UNUSUAL),
		("https://0177.0.0.1/", UNUSUAL),
		("https://0x7f.0.0.1/", UNUSUAL),
		("https://0x7f.0x0.0x0.0x1/", UNUSUAL),
		("https://0x7f.1/", UNUSUAL),
		("https://127.1/", UNUSUAL),
		("https://127.0.1/", UNUSUAL),
		("https://127.0.0.01/", UNUSUAL),
		("https://127.0.0.0x1/", UNUSUAL),
		("https://127.0.0.1../", "no valid host name"),
		("https://127.0.0.256/", UNUSUAL),
		("https://1.2.3.4.5/", UNUSUAL),
		("https://0/", UNUSUAL),
		("https://0x/", UNUSUAL),
		("https://134744072/", UNUSUAL),  # 8.8.8.8: public, but nobody writes it so
		("https://١٢٧.0.0.1/", "no valid"),  # Arabic-Indic digits
		("https://１２７.0.0.1/", NOT_PUBLIC),
		("https://①②⑦.0.0.1/", NOT_PUBLIC),
		("https://127。0。0。1/", NOT_PUBLIC),
		("https://127.0.0.1/", NOT_PUBLIC),
		("https://127.0.0.1./", NOT_PUBLIC),
		("https://169.254.169.254/latest/meta-data", NOT_PUBLIC),
		# IPv6
		("https://[]/", UNUSUAL),
		("https://[::1/", "no host with an optional port"),
		("https://::1/", "no host with an optional port"),
		("https://[::1]x/", "no host with an optional port"),
		("https://[127.0.0.1]/", UNUSUAL),
		("https://[shop.example.com]/", UNUSUAL),
		("https://[v1.fe80]/", UNUSUAL),
		("https://[::1]/", NOT_PUBLIC),
		("https://[0:0:0:0:0:0:0:1]:8443/", NOT_PUBLIC),
		("https://[::ffff:127.0.0.1]/", NOT_PUBLIC),
		("https://[::ffff:7f00:1]/", NOT_PUBLIC),
		("https://[64:ff9b::a9fe:a9fe]/", NOT_PUBLIC),
	],
)
def test_urls_that_are_refused(url, because):
	with pytest.raises(AddressRefused, match=because) as refused:
		check_url(url, RULES)
	assert str(refused.value) == refused.value.sentence.format(*refused.value.values)
	assert str(refused.value)[-1] == "."


def test_plain_http_by_a_switch():
	assert check_url("http://shop.example.com/a", HTTP) == Target("http", "shop.example.com", 80, "/a")
	assert check_url("http://shop.example.com:8443/a", HTTP).port == 8443
	assert check_url("https://shop.example.com/", HTTP).port == 443
	with pytest.raises(AddressRefused, match=r"Port 8080 is not open .* Use one of: 80, 443, 8443\."):
		check_url("http://shop.example.com:8080/", HTTP)


def test_ports_are_a_rule():
	rules = Rules(ports=frozenset({9443}))
	assert check_url("https://shop.example.com:9443/", rules).port == 9443
	with pytest.raises(AddressRefused, match="Port 443 is not open"):
		check_url("https://shop.example.com/", rules)


@pytest.mark.parametrize(
	("url", "authority", "host"),
	[
		("https://a.example/", "a.example:443", "a.example"),
		("https://a.example:8443/", "a.example:8443", "a.example:8443"),
		("http://a.example:443/", "a.example:443", "a.example:443"),
		("http://a.example/", "a.example:80", "a.example"),
		("https://[2606:4700::1111]/", "[2606:4700::1111]:443", "[2606:4700::1111]"),
		("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", "[2606:4700::1111]:8443"),
	],
)
def test_how_a_target_is_named_on_the_wire(url, authority, host):
	target = check_url(url, HTTP)
	assert (target.authority, target.host_header) == (authority, host)


PUBLIC = """1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0
198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
2001:200::1 2001:db7::1 2001:db9::1 2003::1 2400::1 2606:4700::1111 2a00:1450:4001::1 3ffe::1""".split()

REFUSED = {
	"unspecified": "0.0.0.0 0.0.0.1 0.255.255.255 ::",
	"private": "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 fc00::1 fd00:ec2::254",
	"shared by a carrier's customers": "100.64.0.0 100.100.100.200 100.127.255.255",
	"loopback": "127.0.0.1 127.1.2.3 127.255.255.255 ::1",
	"a cloud's own service": "168.63.129.16",
	"link-local": "169.254.0.1 169.254.169.254 fe80::1 febf::1 fe80::1%eth0",
	"reserved": "192.0.0.1 192.0.0.192 240.0.0.1 255.255.255.254 2001:1::1 2001:20::1 100::1 4000::1 5f00::1 ::1:0:0:0",
	"documentation": "192.0.2.1 198.51.100.1 203.0.113.255 2001:db8::1 3fff::1 3fff:fff::1",
	"6to4 relay": "192.88.99.1",
	"benchmarking": "198.18.0.1 198.19.255.255 2001:2::1",
	"multicast": "224.0.0.1 239.255.255.255 ff02::1 ff0e::1",
	"broadcast": "255.255.255.255",
	"site-local": "fec0::1 feff::1",
	"an IPv4 address in IPv6": "::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:a9fe:a9fe ::127.0.0.1 ::8.8.8.8",
	"NAT64": "64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::10.0.0.1 64:ff9b:1:ffff::1",
	"6to4": "2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1",
	"Teredo": "2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2",
	"ISATAP": "2606:4700::5efe:127.0.0.1 2606:4700::200:5efe:10.0.0.1 2a00::5efe:8.8.8.8",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address):
	check_address(address, RULES)
	check_address(ipaddress.ip_address(address), RULES)


@pytest.mark.parametrize(
	("address", "kind"),
	[(address, kind) for kind, addresses in REFUSED.items() for address in addresses.split()],
)
def test_other_addresses_are_refused(address, kind):
	with pytest.raises(AddressRefused) as refused:
		check_address(address, RULES)
	assert refused.value.values == (ipaddress.ip_address(address), kind)


def test_the_address_translated_by_siit_is_refused():
	"""::ffff:0:a.b.c.d, RFC 2765."""
	with pytest.raises(AddressRefused, match="reserved"):
		check_address("::ffff:0:127.0.0.1", RULES)


def test_an_opened_network_opens_itself_alone():
	rules = Rules(allowed_networks=networks("10.1.0.0/16", "fd00:1::/32"))
	for address in ("10.1.0.1", "10.1.255.255", "::ffff:10.1.2.3", "fd00:1::5", "8.8.8.8"):
		check_address(address, rules)
	for address in (
		"10.0.255.255",
		"10.2.0.0",
		"::ffff:10.2.0.1",
		"::10.1.2.3",
		"64:ff9b::10.1.2.3",
		"2002:a01:203::1",
		"fd00:2::5",
		"127.0.0.1",
		"169.254.169.254",
	):
		with pytest.raises(AddressRefused):
			check_address(address, rules)
	assert check_url("https://10.1.2.3/", rules).host == "10.1.2.3"
	assert check_url("https://[::ffff:10.1.2.3]/", rules).port == 443


# -- look-ups -----------------------------------------------------------------------------------------------------


class Dns:
	"""Answers like `socket.getaddrinfo`; `asked` holds what it was asked."""

	def __init__(self, *answers: str):
		self.answers = answers
		self.asked = []

	def __call__(self, host, port, type=0):
		assert type == socket.SOCK_STREAM
		self.asked.append((host, port))
		if not self.answers:
			raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
		return [
			(socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))
			for address in self.answers
		]


def test_a_name_is_looked_up_once_and_answers_keep_their_order():
	dns = Dns("2606:4700::1111", "1.1.1.1", "8.8.8.8", "1.1.1.1")
	assert [str(address) for address in resolve("shop.example.com", 443, RULES, dns)] == [
		"2606:4700::1111",
		"1.1.1.1",
		"8.8.8.8",
	]
	assert dns.asked == [("shop.example.com", 443)]


@pytest.mark.parametrize(
	"bad", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:8.8.8.8"]
)
def test_one_bad_answer_spoils_them_all(bad):
	for answers in ((bad,), ("8.8.8.8", bad), (bad, "8.8.8.8")):
		with pytest.raises(AddressRefused, match=rf"shop\.example\.com leads to .*{NOT_PUBLIC}"):
			resolve("shop.example.com", 443, RULES, Dns(*answers))


def test_an_opened_network_is_open_to_names_too():
	rules = Rules(allowed_networks=networks("10.0.0.0/8"))
	assert resolve("erp.internal", 443, rules, Dns("10.0.0.7")) == [ipaddress.ip_address("10.0.0.7")]
	with pytest.raises(AddressRefused):
		resolve("erp.internal", 443, rules, Dns("10.0.0.7", "192.168.0.1"))


def test_a_name_without_an_address():
	with pytest.raises(NameUnknown, match=r"The name shop\.example\.com has no address in the DNS"):
		resolve("shop.example.com", 443, RULES, Dns())


def test_the_systems_own_resolver_leads_localhost_home():
	with pytest.raises(AddressRefused, match=r"localhost leads to (127\.0\.0\.1|::1), which .* \(loopback\)"):
		resolve("localhost", 443, RULES)
	assert resolve("8.8.8.8", 443, RULES) == [ipaddress.ip_address("8.8.8.8")]
	with pytest.raises(NameUnknown):
		resolve("no-such-name.invalid", 443, RULES)


# -- the proxy ----------------------------------------------------------------------------------------------------


def test_proxies():
	assert check_proxy("http://proxy.example.com:3128") == Proxy("proxy.example.com", 3128)
	assert check_proxy("http://10.0.0.1:3128/") == Proxy("10.0.0.1", 3128)
	assert check_proxy("http://me:p%40ss@proxy:3128") == Proxy("proxy", 3128, ("me", "p@ss"))


@pytest.mark.parametrize(
	"url",
	[
		"",
		"proxy:3128",
		"https://proxy:3128",
		"socks5://proxy:1080",
		"http://proxy",
		"http://proxy:x",
		"http://a:1/b",
	],
)
def test_what_is_no_proxy(url):
	with pytest.raises(AddressRefused, match="Write the proxy like"):
		check_proxy(url)
