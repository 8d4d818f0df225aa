"""Sockets for `core/http.py`: connections to checked addresses alone, every operation within the deadline of its call. Pure.

httpcore speaks HTTP; this is the network backend it is given.
"""

import base64
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

import h11
import httpcore

from integration_hub.core.addresses import Address, NameUnknown, Proxy, Rules, Target, check_proxy

# Head, body and the framing of chunks together; h11 itself takes a head of 100 KiB at most.
MOST_RECEIVED = 256 * 1024

Resolve = Callable[[str, int, Rules], list[Address]]


class TlsFailed(httpcore.ConnectError):
	"""The receiver's certificate does not fit, or no common version of TLS was found."""


@dataclass
class Call:
	"""One call on its way: how much time it has left, and how many bytes of an answer it has received."""

	connect_timeout: float
	timeout: float
	target: Target | None = None
	began: float = field(default_factory=time.monotonic)
	connect_deadline: float | None = None
	received: int = 0

	def left(self, late: type[Exception]) -> float:
		"""Return the seconds until the deadline of what goes on now.

		Raises:
			late: there are none.
		"""
		left = self.began + self.timeout - time.monotonic()
		if self.connect_deadline is not None:
			left = min(left, self.connect_deadline - time.monotonic())
		if left <= 0:
			raise late("the deadline has passed")
		return left


# httpcore has no place to hand a call's deadline through; each thread has one call at a time.
CALL: ContextVar[Call] = ContextVar("integration_hub_http_call")


class CheckedNetwork(httpcore.NetworkBackend):
	"""Connects to checked addresses alone, or to the proxy."""

	def __init__(self, rules: Rules, resolve: Resolve):
		self._rules = rules
		self._resolve = resolve
		self._proxy = check_proxy(rules.proxy) if rules.proxy else None

	def connect_tcp(
		self, host: str, port: int, timeout=None, local_address=None, socket_options=None
	) -> httpcore.NetworkStream:
		call = CALL.get()
		call.connect_deadline = time.monotonic() + call.connect_timeout
		found = _within(call, lambda: self._resolve(host, port, self._rules))
		if self._proxy:
			# The proxy looks the name up again for itself: what it may reach is its own operator's to bound.
			stream = _tunnel(self._proxy, call)
		else:
			stream = _Stream(_connect_to_one_of(found, port, call))
		if call.target.scheme == "http":
			call.connect_deadline = None
		return stream


class _Stream(httpcore.NetworkStream):
	"""A socket whose every operation ends at the deadline of the call that uses it, whatever httpcore says."""

	def __init__(self, sock: socket.socket):
		self._socket = sock

	def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
		call = CALL.get()
		try:
			self._socket.settimeout(call.left(httpcore.ReadTimeout))
			data = self._socket.recv(max_bytes)
		except TimeoutError as e:
			raise httpcore.ReadTimeout(e) from e
		except OSError as e:
			raise httpcore.ReadError(e) from e
		call.received += len(data)
		if call.received > MOST_RECEIVED:
			raise httpcore.RemoteProtocolError("the answer is too large")
		return data

	def write(self, buffer: bytes, timeout: float | None = None) -> None:
		call = CALL.get()
		rest = memoryview(buffer)
		try:
			while rest:
				self._socket.settimeout(call.left(httpcore.WriteTimeout))
				rest = rest[self._socket.send(rest) :]
		except TimeoutError as e:
			raise httpcore.WriteTimeout(e) from e
		except OSError as e:
			raise httpcore.WriteError(e) from e

	def start_tls(
		self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
	) -> httpcore.NetworkStream:
		call = CALL.get()
		try:
			# Python's handshake takes the socket's timeout as its deadline: a drip does not prolong it.
			self._socket.settimeout(call.left(httpcore.ConnectTimeout))
			secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
		except TimeoutError as e:
			self.close()
			raise httpcore.ConnectTimeout(e) from e
		except (OSError, ValueError) as e:
			self.close()
			raise TlsFailed(_reason(e)) from e
		except BaseException:
			self.close()
			raise
		call.connect_deadline = None
		return _Stream(secured)

	def close(self) -> None:
		self._socket.close()

	def get_extra_info(self, info: str) -> object:
		"""Tell httpcore what it asks of a kept connection and a new one; nothing else."""
		if info == "is_readable":
			return _is_readable(self._socket)
		if info == "ssl_object":
			return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
		return None


def _is_readable(sock: socket.socket) -> bool:
	"""A kept connection that has something to read was closed, or holds what nobody asked for."""
	if sock.fileno() < 0:
		return True
	poll = select.poll()
	poll.register(sock, select.POLLIN)
	return bool(poll.poll(0))


def _within(call: Call, look_up: Callable[[], list[Address]]) -> list[Address]:
	"""Return what `look_up` returns, in time: the system's resolver takes no timeout and may wait for half a minute."""
	answer = []

	def run() -> None:
		try:
			answer.append((look_up(), None))
		except Exception as e:
			answer.append((None, e))

	thread = threading.Thread(target=run, name="integration-hub-dns", daemon=True)
	thread.start()
	thread.join(call.left(httpcore.ConnectTimeout))
	if not answer:
		raise NameUnknown("The DNS did not answer in time for {0}.", call.target.host)
	found, error = answer[0]
	if error:
		raise error
	return found


def _connect_to_one_of(found: list[Address], port: int, call: Call) -> socket.socket:
	"""Connect to the first address that answers, each within its share of the time."""
	for tried, address in enumerate(found, 1):
		share = call.left(httpcore.ConnectTimeout) / (len(found) - tried + 1)
		try:
			return _connect(address, port, share)
		except OSError as e:
			error = e
	raise _not_connected(error)


def _connect(address: Address, port: int, timeout: float) -> socket.socket:
	"""Connect by number: no name is looked up here."""
	sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
	try:
		sock.settimeout(timeout)
		sock.connect((str(address), port))
		sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
	except BaseException:
		sock.close()
		raise
	return sock


def _tunnel(proxy: Proxy, call: Call) -> _Stream:
	"""Connect through the proxy by CONNECT (RFC 9110, 9.3.6), to http receivers too.

	Not by httpcore.HTTPProxy, which for ever keeps a connection whose TLS handshake failed behind the proxy.
	"""
	try:
		sock = socket.create_connection((proxy.host, proxy.port), call.left(httpcore.ConnectTimeout))
	except OSError as e:
		raise httpcore.ProxyError(f"the egress proxy cannot be reached ({_reason(e)})") from e
	sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
	stream = _Stream(sock)
	try:
		answer = _ask_for_tunnel(stream, call.target.authority, proxy)
		if not 200 <= answer.status_code < 300:
			raise httpcore.ProxyError(f"the egress proxy answered {answer.status_code}")
	except (h11.RemoteProtocolError, httpcore.NetworkError) as e:
		stream.close()
		raise httpcore.ProxyError(f"the egress proxy gave no proper answer ({e})") from e
	except BaseException:
		stream.close()
		raise
	return stream


def _ask_for_tunnel(stream: _Stream, authority: str, proxy: Proxy) -> h11.Response:
	connection = h11.Connection(h11.CLIENT)
	headers = [("Host", authority)]
	if proxy.login:
		headers.append(("Proxy-Authorization", b"Basic " + base64.b64encode(":".join(proxy.login).encode())))
	stream.write(connection.send(h11.Request(method="CONNECT", target=authority, headers=headers)))
	connection.send(h11.EndOfMessage())
	while True:
		event = connection.next_event()
		if event is h11.NEED_DATA:
			connection.receive_data(stream.read(4096))
		elif isinstance(event, h11.Response):
			return event
		elif isinstance(event, h11.ConnectionClosed):
			raise httpcore.ReadError("closed")


def _not_connected(error: OSError) -> Exception:
	kind = httpcore.ConnectTimeout if isinstance(error, TimeoutError) else httpcore.ConnectError
	return kind(_reason(error))


def _reason(error: Exception) -> str:
	"""Return what went wrong in OpenSSL's or the system's words, without error numbers where it can."""
	words = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
	return words.rstrip(".")
