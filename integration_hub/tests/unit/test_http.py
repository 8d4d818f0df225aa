"""Calls out over real sockets on the loopback: friendly receivers, hostile ones, names that change their mind."""

import gzip
import ipaddress
import itertools
import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpcore
import pytest

from integration_hub.core import addresses, http, network
from integration_hub.core.addresses import AddressRefused, Rules
from integration_hub.core.http import LONGEST_BODY, Client
from integration_hub.tests import receivers
from integration_hub.tests.receivers import (
	Answer,
	Receiver,
	certificate,
	drip,
	flood,
	hang,
	say,
	say_and_hang,
)

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
SHORT = 0.8
# How much later than its deadline a call may end, on a busy machine.
SLACK = 0.7
HEAD = b"HTTP/1.1 200 OK\r\n"
JSON = {"Content-Type": "application/json"}
# Reading the system's roots takes long: once for the clients that speak no TLS.
TRUST = httpcore.default_ssl_context()


class Dns:
	"""`getaddrinfo` with one answer a look-up, in turn; `asked` counts the look-ups."""

	def __init__(self, *answers: str):
		self.answers = itertools.cycle(answers)
		self.asked = 0

	def __call__(self, host, port, type=0):
		self.asked += 1
		address = next(self.answers)
		return [(socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))]


def rules(receiver: Receiver, **changes) -> Rules:
	return Rules(
		**{
			"allow_http": True,
			"ports": frozenset({receiver.port}),
			"allowed_networks": LOOPBACK,
			**changes,
		}
	)


@contextmanager
def client_of(receiver: Receiver, dns: Dns | None = None, **options):
	"""Yield a client that may call this receiver alone; names lead to the loopback."""
	options.setdefault("ssl_context", TRUST)
	resolve = partial(addresses.resolve, getaddrinfo=dns or Dns("127.0.0.1"))
	client = Client(options.pop("rules", None) or rules(receiver), resolve, **options)
	try:
		yield client
	finally:
		client.close()


def post(receiver: Receiver, path: str = "/", timeout: float = 10, **options) -> http.Reply:
	with client_of(receiver, **options) as client:
		return client.post(receiver.url + path, b"{}", JSON, timeout=timeout)


def sockets() -> int:
	"""Count the open sockets of this process."""
	return sum(os.path.islink(path) and "socket:" in os.readlink(path) for path in _descriptors())


def _descriptors() -> list[str]:
	return [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]


def until(condition, timeout: float = 5) -> None:
	deadline = time.monotonic() + timeout
	while not condition():
		assert time.monotonic() < deadline
		time.sleep(0.01)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> receivers.Certificate:
	return certificate("shop.test", tmp_path_factory.mktemp("tls"))


# -- the friendly receiver ----------------------------------------------------------------------------------------


def test_what_arrives_and_what_comes_back():
	answer = Answer(
		202,
		{
			"Content-Type": "text/plain",
			"Retry-After": "7",
			"Location": "/x",
			"Date": "now",
			"X-Secret": "s",
			"Set-Cookie": "a=b",
		},
		b"thanks",
	)
	with Receiver(answer) as receiver, client_of(receiver) as client:
		reply = client.post(receiver.url + "/a?b=c", b'{"a": 1}', {**JSON, "webhook-id": "msg_1"})
		assert (reply.status, reply.body, reply.error, reply.message) == (202, b"thanks", None, "")
		assert reply.headers == {
			"content-type": "text/plain",
			"retry-after": "7",
			"location": "/x",
			"date": "now",
		}
		assert 0 <= reply.duration_ms < 2000
		[request] = receiver.requests
	assert (request.method, request.path, request.body) == ("POST", "/a?b=c", b'{"a": 1}')
	assert request.headers == {
		"host": f"127.0.0.1:{receiver.port}",
		"accept-encoding": "identity",
		"user-agent": "Integration-Hub",
		"content-type": "application/json",
		"webhook-id": "msg_1",
		"content-length": "8",
	}


def test_headers_that_would_change_the_framing_are_ours():
	theirs = {
		"Host": "evil.example",
		"Content-Length": "3",
		"Transfer-Encoding": "chunked",
		"Connection": "close",
		"Accept-Encoding": "gzip",
		"Expect": "100-continue",
		"Upgrade": "h2c",
		"user-agent": "Mine",
	}
	with Receiver() as receiver, client_of(receiver) as client:
		assert client.post(receiver.url, b"12345", theirs).status == 200
		[request] = receiver.requests
	assert request.body == b"12345"
	assert request.headers == {
		"host": f"127.0.0.1:{receiver.port}",
		"accept-encoding": "identity",
		"user-agent": "Mine",
		"content-length": "5",
	}


@pytest.mark.parametrize(
	"headers", [{"X-A": "a\r\nX-B: b"}, {"X-A": "a\nb"}, {"X A": "a"}, {"": "a"}, {"X-Ä": "a"}, {"X-A": "\0"}]
)
def test_headers_that_cannot_be_sent(headers):
	with Receiver() as receiver, client_of(receiver) as client:
		reply = client.post(receiver.url, b"", headers)
		assert (reply.status, reply.error) == (None, "invalid_request")
		assert reply.message.startswith("A header cannot be sent: ")
		assert receiver.count == 0
		assert client.post(receiver.url, b"", {"X-A": "ä"}).status == 200


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 304, 400, 401, 410, 429, 500, 503, 599])
def test_a_status_is_only_reported(status):
	"""Redirects above all: the receiver of the redirect is never called."""
	with Receiver() as inner, Receiver(Answer(status, {"Location": inner.url})) as receiver:
		reply = post(receiver)
		assert (reply.status, reply.error, reply.headers["location"]) == (status, None, inner.url)
		assert (receiver.count, inner.connections) == (1, 0)


def test_a_large_payload_arrives_whole():
	body = os.urandom(256 * 1024)
	with Receiver() as receiver, client_of(receiver) as client:
		assert client.post(receiver.url, body, {}).status == 200
		assert receiver.requests[0].body == body


def test_a_compressed_answer_is_left_compressed():
	bomb = gzip.compress(b"\0" * 10_000_000)
	assert len(bomb) < LONGEST_BODY
	with Receiver(Answer(200, {"Content-Encoding": "gzip"}, bomb)) as receiver:
		assert post(receiver).body == bomb


def test_environment_proxies_are_not_read(monkeypatch):
	with Receiver() as receiver, Receiver() as proxy:
		for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
			monkeypatch.setenv(name, proxy.url)
		assert post(receiver).status == 200
		assert (receiver.count, proxy.connections) == (1, 0)


# -- kept connections ---------------------------------------------------------------------------------------------


def test_connections_are_kept_for_their_origin():
	dns = Dns("127.0.0.1")
	with Receiver() as one, Receiver() as two:
		allowed = rules(one, ports=frozenset({one.port, two.port}))
		with client_of(one, dns, rules=allowed) as client:
			for _round in range(5):
				assert client.post(f"http://one.test:{one.port}/", b"", {}).status == 200
				assert client.post(f"http://two.test:{two.port}/", b"", {}).status == 200
			assert (one.count, one.connections, two.count, two.connections) == (5, 1, 5, 1)
			assert dns.asked == 2
			# another name for the same machine is another origin
			assert client.post(f"http://three.test:{one.port}/", b"", {}).status == 200
			assert one.connections == 2


def test_close_closes_what_was_kept():
	with Receiver() as receiver, client_of(receiver) as client:
		before = sockets()
		client.post(receiver.url, b"", {})
		assert sockets() == before + 2
		client.close()
		until(lambda: sockets() == before)
		assert client.post(receiver.url, b"", {}).status == 200


def test_a_kept_connection_the_receiver_closed_is_replaced():
	with Receiver() as receiver, client_of(receiver) as client:
		client.post(receiver.url, b"", {})
		receiver.drop_connections()
		until(lambda: not receiver._open)
		assert client.post(receiver.url, b"", {}).status == 200
		assert (receiver.count, receiver.connections) == (2, 2)


@pytest.mark.parametrize("death", [receivers.close_early, receivers.reset])
def test_a_kept_connection_that_dies_under_the_request_is_tried_once_more(death):
	"""On a fresh connection; and what happens there counts."""
	with Receiver({"/bad": death}) as receiver, client_of(receiver) as client:
		assert client.post(receiver.url + "/", b"", {}).status == 200
		reply = client.post(receiver.url + "/bad", b"", {})
		assert (reply.status, reply.error) == (None, "connection_lost")
		assert [request.path for request in receiver.requests] == ["/", "/bad", "/bad"]
		assert receiver.connections == 2
		# on a fresh connection there is no second try
		client.post(receiver.url + "/bad", b"", {})
		assert (receiver.count, receiver.connections) == (4, 3)


def test_the_second_try_succeeds_where_the_receiver_is_well_again():
	answers = iter([receivers.close_early])

	def once(wire):
		next(answers, lambda wire: wire.send(HEAD + b"Content-Length: 0\r\n\r\n"))(wire)

	with Receiver({"/moody": receivers.misbehaviour(once)}) as receiver, client_of(receiver) as client:
		client.post(receiver.url + "/", b"", {})
		reply = client.post(receiver.url + "/moody", b"x", {})
		assert (reply.status, reply.error) == (200, None)
		assert [request.body for request in receiver.requests] == [b"", b"x", b"x"]


def test_no_second_try_once_the_answer_has_begun_or_time_is_up():
	behave = {"/begun": say(b"HTTP/1.1 2"), "/slow": hang}
	with Receiver(behave) as receiver, client_of(receiver) as client:
		for path, error in (("/begun", "protocol_error"), ("/slow", "timeout")):
			client.post(receiver.url + "/", b"", {})
			assert client.post(receiver.url + path, b"", {}, timeout=SHORT).error == error
		assert [request.path for request in receiver.requests] == ["/", "/begun", "/", "/slow"]


def test_kept_connections_are_given_up_after_a_while(monkeypatch):
	monkeypatch.setattr(http, "KEPT_ALIVE_SECONDS", 0.05)
	with Receiver() as receiver, client_of(receiver) as client:
		client.post(receiver.url, b"", {})
		time.sleep(0.1)
		client.post(receiver.url, b"", {})
		assert receiver.connections == 2


def test_idle_connections_are_bounded():
	with Receiver() as receiver, client_of(receiver, keep=3) as client:
		before = sockets()
		for number in range(8):
			assert client.post(f"http://shop{number}.test:{receiver.port}/", b"", {}).status == 200
		until(lambda: sockets() <= before + 6)  # both ends are in this process
		assert receiver.connections == 8


def test_128_threads_share_a_client():
	with Receiver(Answer(200, {}, b"x", 0.05)) as receiver, client_of(receiver) as client:
		barrier = threading.Barrier(128)

		def work(number):
			barrier.wait(20)
			return [client.post(f"{receiver.url}/{number}/{n}", b"%d" % number, {}, 15, 25) for n in range(3)]

		with ThreadPoolExecutor(128) as pool:
			replies = [reply for found in pool.map(work, range(128)) for reply in found]
		assert {(reply.status, reply.error, reply.body) for reply in replies} == {(200, None, b"x")}
		assert receiver.connections <= 128
		paths = [request.path for request in receiver.requests]
		assert len(paths) == len(set(paths)) == 384
		assert all(request.path.split("/")[1] == request.body.decode() for request in receiver.requests)


def test_a_slow_receiver_delays_no_other():
	with Receiver({"/slow": hang}) as receiver, client_of(receiver) as client:
		with ThreadPoolExecutor(20) as pool:
			slow = [pool.submit(client.post, receiver.url + "/slow", b"", {}, 5, 2) for _n in range(16)]
			receiver.wait(16)
			quick = [client.post(receiver.url + "/", b"", {}) for _n in range(20)]
			assert not any(future.done() for future in slow)
		assert {reply.status for reply in quick} == {200}
		assert {future.result().error for future in slow} == {"timeout"}


@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_may_take_longer_than_connecting_may(shop, secure):
	tls = shop if secure else None
	with Receiver(Answer(200, {}, b"late", 0.6), tls=tls) as receiver:
		with client_of(receiver, ssl_context=shop.client_context) as client:
			for _kept in range(2):
				reply = client.post(receiver.url, b"", {}, connect_timeout=0.3, timeout=5)
				assert (reply.status, reply.body, reply.error) == (200, b"late", None)
		assert receiver.connections == 1


# -- hostile receivers --------------------------------------------------------------------------------------------

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
	("behave", "status", "error"),
	[
		pytest.param(hang, None, "timeout", id="hangs"),
		pytest.param(drip(HEAD, 0.1), None, "timeout", id="drips its head"),
		pytest.param(drip(HEAD, 0.1, b"X-A: b\r\n"), None, "timeout", id="drips headers"),
		pytest.param(drip(HEAD + b"Content-Length: 99\r\n\r\n", 0.1), 200, "timeout", id="drips its body"),
		pytest.param(drip(CHUNKED, 0.1, b"1\r\nx\r\n"), 200, "timeout", id="drips chunks"),
		pytest.param(drip(HEAD + b"\r\n", 0.1), 200, "timeout", id="drips without a length"),
		pytest.param(
			drip(b"", 0.1, b"HTTP/1.1 102 Processing\r\n\r\n"), None, "timeout", id="is processing for ever"
		),
		pytest.param(
			say_and_hang(HEAD + b"Content-Length: 10\r\n\r\nabc"), 200, "timeout", id="promises more, hangs"
		),
	],
)
def test_slowness_ends_at_the_deadline(behave, status, error):
	with Receiver(behave) as receiver, client_of(receiver) as client:
		began = time.monotonic()
		reply = client.post(receiver.url, b"{}", {}, timeout=SHORT)
		took = time.monotonic() - began
	assert (reply.status, reply.error) == (status, error)
	assert reply.message == "No complete answer within 0.8 s."
	assert SHORT * 1000 <= reply.duration_ms <= round(took * 1000)
	assert took < SHORT + SLACK


def test_a_receiver_that_does_not_read():
	"""The body never gets out, but for what the kernel takes."""
	with Receiver(on_accept=hang) as receiver, client_of(receiver) as client:
		began = time.monotonic()
		reply = client.post(receiver.url, b"x" * 32 * 1024 * 1024, {}, timeout=SHORT)
		assert (reply.status, reply.error) == (None, "timeout")
		assert time.monotonic() - began < SHORT + SLACK


@pytest.mark.parametrize(
	("behave", "status", "error", "body"),
	[
		pytest.param(receivers.close_early, None, "connection_lost", b"", id="closes early"),
		pytest.param(receivers.reset, None, "connection_lost", b"", id="breaks off"),
		pytest.param(
			say(HEAD + b"Content-Length: 10\r\n\r\nabc"),
			200,
			"protocol_error",
			b"abc",
			id="says more than it sends",
		),
		pytest.param(
			say(HEAD + b"Content-Length: 3\r\n\r\nabcdef"), 200, None, b"abc", id="says less than it sends"
		),
		pytest.param(say(HEAD + b"\r\nabc"), 200, None, b"abc", id="ends by closing"),
		pytest.param(
			say(CHUNKED + b"3\r\nabc\r\n"), 200, "protocol_error", b"abc", id="breaks off between chunks"
		),
		pytest.param(say(CHUNKED + b"zz\r\nabc\r\n"), 200, "protocol_error", b"", id="no chunk size"),
		pytest.param(say(CHUNKED + b"-3\r\nabc\r\n"), 200, "protocol_error", b"", id="negative chunk"),
		pytest.param(
			say(HEAD + b"Content-Length: -1\r\n\r\n"), None, "protocol_error", b"", id="negative length"
		),
		pytest.param(say(HEAD + b"Content-Length: x\r\n\r\n"), None, "protocol_error", b"", id="no number"),
		pytest.param(
			say(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
			None,
			"protocol_error",
			b"",
			id="two lengths",
		),
		pytest.param(
			say(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
			None,
			"protocol_error",
			b"",
			id="other encoding",
		),
		pytest.param(say(HEAD[:9]), None, "protocol_error", b"", id="half a head"),
		pytest.param(say(b"SSH-2.0-OpenSSH_9.6\r\n"), None, "protocol_error", b"", id="another protocol"),
		pytest.param(say(b"HTTP/1.1 20 OK\r\n\r\n"), None, "protocol_error", b"", id="no status"),
		pytest.param(say(b"HTTP/2 200\r\n\r\n"), None, "protocol_error", b"", id="another version"),
		pytest.param(say(b"\0" * 2000), None, "protocol_error", b"", id="noughts"),
		pytest.param(say(b"\x15\x03\x01\0\x02\x02\x46"), None, "protocol_error", b"", id="a TLS alert"),
		pytest.param(say(HEAD + b"A\0B: c\r\n\r\n"), None, "protocol_error", b"", id="a header that is none"),
		pytest.param(say(HEAD + b"X-A: \xff\xe4\r\n\r\nabc"), 200, None, b"abc", id="Latin-1 in a header"),
		pytest.param(say(b"HTTP/1.0 200 OK\r\n\r\nabc"), 200, None, b"abc", id="HTTP/1.0"),
	],
)
def test_broken_answers(behave, status, error, body):
	with Receiver(behave) as receiver:
		reply = post(receiver, timeout=3)
		assert receiver.count == 1
	assert (reply.status, reply.error, reply.body) == (status, error, body)
	assert bool(reply.message) == bool(error)
	assert reply.duration_ms < 2000


@pytest.mark.parametrize(
	("behave", "status", "error", "length"),
	[
		pytest.param(
			flood(HEAD + b"Content-Length: 10000000000\r\n\r\n", b"x" * 65536),
			200,
			None,
			LONGEST_BODY,
			id="10 GB",
		),
		pytest.param(flood(HEAD + b"\r\n", b"x" * 65536), 200, None, LONGEST_BODY, id="endless"),
		pytest.param(
			flood(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"), 200, None, LONGEST_BODY, id="endless chunks"
		),
		pytest.param(
			flood(CHUNKED, b"1;" + b"y" * 90 + b"\r\nx\r\n"),
			200,
			"protocol_error",
			None,
			id="chunk extensions",
		),
		pytest.param(flood(HEAD, b"X-A: b\r\n" * 512), None, "protocol_error", 0, id="headers"),
		pytest.param(flood(HEAD + b"X-A: ", b"b" * 4096), None, "protocol_error", 0, id="one header"),
		pytest.param(flood(b"", b"x" * 4096), None, "protocol_error", 0, id="one line"),
		pytest.param(
			flood(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 512),
			None,
			"protocol_error",
			0,
			id="informational",
		),
		pytest.param(flood(CHUNKED + b"0\r\n", b"X-A: b\r\n" * 512), 200, "protocol_error", 0, id="trailers"),
	],
)
def test_floods_are_dropped(behave, status, error, length):
	with Receiver(behave) as receiver, client_of(receiver) as client:
		began = time.monotonic()
		reply = client.post(receiver.url, b"", {}, timeout=10)
		assert time.monotonic() - began < 4
		assert (reply.status, reply.error) == (status, error)
		assert len(reply.body) == length or (length is None and len(reply.body) < LONGEST_BODY)
		# The connection went with it: what was sent is what fits into buffers, and the next call finds another.
		until(lambda: not receiver._open)
		assert receiver.sent < 16 * 1024 * 1024
		receiver.behave = Answer(201)
		assert client.post(receiver.url, b"", {}).status == 201


def test_long_headers_are_cut():
	with Receiver(Answer(302, {"Location": "/" + "x" * 50_000})) as receiver:
		assert post(receiver).headers["location"] == "/" + "x" * (http.LONGEST_HEADER - 1)


def test_bytes_too_many_do_not_become_the_next_answer():
	"""Nor does garbage behind one answer spoil the next."""
	for behind in (b"garbage", b"\r\n\r\n"):
		answer = HEAD + b"Content-Length: 2\r\n\r\nok" + behind
		count = itertools.count()

		def lie(wire, answer=answer, count=count):
			if next(count):
				wire.send(HEAD + b"Content-Length: 4\r\n\r\nreal")
			else:
				wire.send(answer)
				wire.wait(0.5)

		with Receiver(receivers.misbehaviour(lie)) as receiver, client_of(receiver) as client:
			assert client.post(receiver.url, b"", {}).body == b"ok"
			reply = client.post(receiver.url, b"", {}, timeout=5)
			assert (reply.status, reply.error, reply.body) == (200, None, b"real")


def test_sockets_are_not_leaked():
	before = sockets()
	behave = {"/hang": hang, "/early": receivers.close_early, "/flood": flood(HEAD + b"\r\n", b"x" * 65536)}
	with Receiver(behave) as receiver, client_of(receiver) as client:
		for path in [*behave, "/"] * 5:
			client.post(receiver.url + path, b"", {}, timeout=0.1)
	until(lambda: sockets() == before)


# -- names and addresses ------------------------------------------------------------------------------------------


def test_a_name_that_changes_between_look_ups():
	"""One look-up a connect, and the connect goes to the address that look-up was checked for."""
	dns = Dns("127.0.0.1", "10.0.0.1")
	with Receiver() as receiver, client_of(receiver, dns) as client:
		url = f"http://rebinding.test:{receiver.port}/"
		replies = []
		for _try in range(4):
			replies.append(client.post(url, b"", {}, timeout=2))
			client.close()
		assert [(reply.status, reply.error) for reply in replies] == [
			(200, None),
			(None, "address_refused"),
			(200, None),
			(None, "address_refused"),
		]
		assert (dns.asked, receiver.connections) == (4, 2)
		assert replies[1].message.startswith(
			"rebinding.test leads to 10.0.0.1, which is no address on the public"
		)
		assert replies[1].duration_ms < 500


def test_the_connect_looks_nothing_up(monkeypatch):
	asked = []
	real = socket.getaddrinfo

	def watched(*args, **options):
		asked.append(args[0])
		return real(*args, **options)

	monkeypatch.setattr(socket, "getaddrinfo", watched)
	dns = Dns("127.0.0.1")
	with Receiver() as receiver, client_of(receiver, dns) as client:
		assert client.post(f"http://shop.test:{receiver.port}/", b"", {}).status == 200
		assert (dns.asked, asked) == (1, [])
		assert receiver.requests[0].headers["host"] == f"shop.test:{receiver.port}"


def test_addresses_are_checked_by_the_systems_resolver_too():
	"""The default `resolve`, nothing opened: a receiver that listens is never connected to."""
	with Receiver() as receiver:
		client = Client(rules(receiver, allowed_networks=()))
		for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1"):
			reply = client.post(f"http://{host}:{receiver.port}/", b"", {})
			assert (reply.status, reply.error) == (None, "address_refused")
		assert receiver.connections == 0
		reply = client.post(f"http://no-such-name.invalid:{receiver.port}/", b"", {})
		assert reply.error == "dns_failed"
		assert reply.message == "The name no-such-name.invalid has no address in the DNS. Check its spelling."


def test_a_url_that_is_refused():
	with Receiver() as receiver, client_of(receiver, rules=rules(receiver, allow_http=False)) as client:
		reply = client.post(receiver.url, b"", {})
		assert (reply.error, receiver.connections) == ("address_refused", 0)
		assert reply.message.startswith("Use https.")


def test_a_resolver_that_hangs():
	release = threading.Event()

	def stuck(host, port, rules):
		release.wait(20)
		return []

	with Receiver() as receiver:
		began = time.monotonic()
		reply = Client(rules(receiver), stuck).post(receiver.url, b"", {}, connect_timeout=0.3)
		release.set()
	assert (reply.error, reply.message) == ("dns_failed", "The DNS did not answer in time for 127.0.0.1.")
	assert 0.3 <= time.monotonic() - began < 0.3 + SLACK


def test_the_next_address_is_tried_when_one_is_dead():
	with Receiver() as receiver:
		found = [ipaddress.ip_address(address) for address in ("::1", "127.0.0.9", "127.0.0.1")]
		client = Client(rules(receiver), lambda *_args: found)
		assert client.post(f"http://shop.test:{receiver.port}/", b"", {}).status == 200
		client.close()


def test_nobody_listens():
	with Receiver() as receiver:
		pass
	reply = post(receiver)
	assert (reply.status, reply.error, reply.message) == (
		None,
		"connect_failed",
		"No connection: Connection refused.",
	)


def test_a_host_that_takes_no_connection():
	"""A listener whose queue is full drops what asks: nothing answers, as behind a firewall."""
	with socket.socket() as full:
		full.bind(("127.0.0.1", 0))
		full.listen(0)
		port = full.getsockname()[1]
		waiting = [socket.socket() for _n in range(4)]
		for sock in waiting:
			sock.setblocking(False)
			sock.connect_ex(("127.0.0.1", port))
		began = time.monotonic()
		client = Client(Rules(allow_http=True, ports=frozenset({port}), allowed_networks=LOOPBACK))
		reply = client.post(f"http://127.0.0.1:{port}/", b"", {}, connect_timeout=0.4, timeout=5)
		took = time.monotonic() - began
		for sock in waiting:
			sock.close()
	assert (reply.error, reply.message) == ("timeout", "No connection within 0.4 s.")
	assert 0.4 <= took < 0.4 + SLACK


# -- TLS ----------------------------------------------------------------------------------------------------------


def test_a_certificate_that_fits(shop):
	with Receiver(tls=shop) as receiver, client_of(receiver, ssl_context=shop.client_context) as client:
		assert receiver.url == f"https://shop.test:{receiver.port}"
		for _time in range(3):
			assert client.post(receiver.url + "/a", b"x", {}).status == 200
		assert (receiver.count, receiver.connections) == (3, 1)
		assert receiver.requests[0].headers["host"] == f"shop.test:{receiver.port}"


def test_a_certificate_for_an_address(tmp_path):
	tls = certificate("127.0.0.1", tmp_path)
	with Receiver(tls=tls) as receiver:
		assert post(receiver, ssl_context=tls.client_context).status == 200


def test_certificates_that_do_not_fit(shop, tmp_path):
	expired = certificate("shop.test", tmp_path, days=-1)
	for tls, host, trust, because in (
		(shop, "other.test", shop.client_context, "certificate is not valid for 'other.test'"),
		(shop, "127.0.0.1", shop.client_context, "certificate is not valid for '127.0.0.1'"),
		(shop, "shop.test", None, "unable to get local issuer certificate"),
		(expired, "shop.test", expired.client_context, "certificate has expired"),
	):
		with Receiver(tls=tls) as receiver, client_of(receiver, ssl_context=trust) as client:
			reply = client.post(f"https://{host}:{receiver.port}/", b"secret", {})
			assert (reply.status, reply.error) == (None, "tls_failed")
			assert because in reply.message
			assert receiver.count == 0


def test_old_versions_of_tls_are_not_spoken(shop):
	context = shop.client_context
	context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
	with Receiver(tls=shop) as receiver, client_of(receiver, ssl_context=context):
		assert context.minimum_version == ssl.TLSVersion.TLSv1_2
	# The alert “protocol version”, and an answer without TLS; a receiver that closed at once might be heard first.
	for said in (b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 400 Bad Request\r\n\r\n"):
		receiver = Receiver(on_accept=say_and_hang(said))
		with receiver, client_of(receiver, ssl_context=shop.client_context) as client:
			reply = client.post(f"https://shop.test:{receiver.port}/", b"", {}, timeout=2)
			assert (reply.status, reply.error) == (None, "tls_failed")


@pytest.mark.parametrize("slow", [hang, drip(b"\x16\x03\x03\x40\0", 0.1, b"\x02")])
def test_a_handshake_that_takes_for_ever(shop, slow):
	with Receiver(tls=shop, on_accept=slow) as receiver:
		with client_of(receiver, ssl_context=shop.client_context) as client:
			began = time.monotonic()
			reply = client.post(receiver.url, b"", {}, connect_timeout=0.5, timeout=5)
			took = time.monotonic() - began
	assert (reply.error, reply.message) == ("timeout", "No connection within 0.5 s.")
	assert 0.5 <= took < 0.5 + SLACK


def test_a_drip_behind_tls(shop):
	with Receiver(drip(HEAD, 0.1), tls=shop) as receiver:
		reply = post(receiver, timeout=SHORT, ssl_context=shop.client_context)
	assert reply.error == "timeout"
	assert SHORT * 1000 <= reply.duration_ms < (SHORT + SLACK) * 1000


# -- an egress proxy ----------------------------------------------------------------------------------------------


def through(proxy: str, receiver: Receiver, **options):
	changed = rules(receiver, proxy=f"http://{proxy}", **options.pop("changes", {}))
	return client_of(receiver, rules=changed, **options)


def test_through_a_proxy(shop):
	with Receiver(tls=shop) as receiver, receivers.connect_proxy(receiver.port) as (proxy, asked):
		with through(proxy, receiver, ssl_context=shop.client_context) as client:
			for _time in range(3):
				reply = client.post(receiver.url + "/a", b"x", {})
				assert (reply.status, reply.error) == (200, None)
			assert asked == [(f"shop.test:{receiver.port}", None)]
			assert (receiver.count, receiver.connections) == (3, 1)


def test_plain_http_goes_through_a_tunnel_too():
	with Receiver() as receiver, receivers.connect_proxy(receiver.port) as (proxy, asked):
		with through(proxy, receiver) as client:
			assert client.post(f"http://shop.test:{receiver.port}/", b"x", {}).status == 200
		assert asked == [(f"shop.test:{receiver.port}", None)]


def test_a_proxy_that_wants_a_login():
	login = "Basic bWU6cEBzcw=="
	with Receiver() as receiver, receivers.connect_proxy(receiver.port, login) as (proxy, asked):
		with through(f"me:p%40ss@{proxy}", receiver) as client:
			assert client.post(receiver.url, b"", {}).status == 200
			assert "proxy-authorization" not in receiver.requests[0].headers
		with through(proxy, receiver) as client:
			reply = client.post(receiver.url, b"", {})
			assert (reply.status, reply.error) == (None, "connect_failed")
			assert reply.message == "No connection: the egress proxy answered 407."
		assert [auth for _target, auth in asked] == [login, None]


def test_the_target_is_checked_before_the_proxy_is_asked():
	with Receiver() as receiver, receivers.connect_proxy(receiver.port) as (proxy, asked):
		with through(proxy, receiver, changes={"allowed_networks": ()}) as client:
			for host in ("inner.test", "127.0.0.1"):
				reply = client.post(f"http://{host}:{receiver.port}/", b"", {})
				assert reply.error == "address_refused"
		assert asked == []


@pytest.mark.parametrize(
	"behave", [receivers.close_early, say(b"rubbish\r\n\r\n"), say(b"HTTP/1.1 502 No\r\n\r\n")]
)
def test_a_proxy_that_is_broken(behave):
	with Receiver() as receiver, Receiver(behave) as proxy:
		with through(f"127.0.0.1:{proxy.port}", receiver) as client:
			reply = client.post(receiver.url, b"", {})
			assert (reply.status, reply.error) == (None, "connect_failed")
			assert "the egress proxy" in reply.message
		assert proxy.count == 1


def test_a_proxy_that_is_away_or_hangs():
	with Receiver() as gone:
		pass
	with Receiver() as receiver:
		with through(f"127.0.0.1:{gone.port}", receiver) as client:
			reply = client.post(receiver.url, b"", {})
			assert reply.message == "No connection: the egress proxy cannot be reached (Connection refused)."
		with Receiver(hang) as proxy, through(f"127.0.0.1:{proxy.port}", receiver) as client:
			reply = client.post(receiver.url, b"", {}, connect_timeout=0.4)
			assert reply.error == "timeout"
			assert 400 <= reply.duration_ms < 400 + SLACK * 1000


def test_failed_handshakes_behind_a_proxy_leave_nothing_open(shop):
	before = sockets()
	with Receiver(tls=shop) as receiver, receivers.connect_proxy(receiver.port) as (proxy, _asked):
		with through(proxy, receiver) as client:  # trusts the system's roots alone
			replies = [client.post(receiver.url, b"", {}, timeout=3) for _n in range(5)]
	assert [reply.error for reply in replies] == ["tls_failed"] * 5
	until(lambda: sockets() == before)


def test_a_proxy_that_cannot_be_one():
	with pytest.raises(AddressRefused, match="Write the proxy like"):
		Client(Rules(proxy="socks5://proxy:1080"))


# -- faults of our own --------------------------------------------------------------------------------------------


def test_a_bug_is_not_hidden():
	def broken(host, port, rules):
		raise KeyError("a bug")

	with Receiver() as receiver, client_of(receiver) as client:
		with pytest.raises(KeyError, match="a bug"):
			Client(rules(receiver), broken).post(receiver.url, b"", {})
		assert network.CALL.get(None) is None
		assert client.post(receiver.url, b"", {}).status == 200
