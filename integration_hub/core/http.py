"""The only way out over HTTP: checked addresses, one deadline, bounded answers, no redirects. Pure.

httpcore speaks HTTP, over the sockets of `core/network.py`, which connect to addresses that
`core/addresses.py` has checked. Environment variables such as `HTTPS_PROXY` are not read.
"""

import ssl
import threading
import time
from dataclasses import dataclass, field

import httpcore

from integration_hub.core import addresses
from integration_hub.core.addresses import AddressRefused, NameUnknown, Rules, Target
from integration_hub.core.network import CALL, Call, CheckedNetwork, Resolve, TlsFailed

LONGEST_BODY = 16 * 1024
LONGEST_HEADER = 2048
KEPT_ALIVE_SECONDS = 30.0
KEPT_HEADERS = frozenset({"content-type", "retry-after", "location", "date"})
USER_AGENT = "Integration-Hub"

# Framing and hops are this module's own: a caller's header must not change where one request ends and the next begins.
_OWN_HEADERS = frozenset(
	"accept-encoding connection content-length expect host keep-alive proxy-authorization proxy-connection te trailer "
	"transfer-encoding upgrade".split()
)

# Scheme, host, port.
Origin = tuple[str, str, int]


@dataclass(frozen=True)
class Reply:
	"""How a call ended.

	`status` and `error` may both be set: the answer began with that status and then broke off. `headers` are those of
	KEPT_HEADERS, in lower case, cut at LONGEST_HEADER characters; `body` is as sent, cut at LONGEST_BODY bytes; `message` is for logs and people, in English.

	`error` is one of: `address_refused`, `dns_failed`, `connect_failed`, `tls_failed`, `timeout`, `connection_lost` (closed
	before the first byte of an answer), `protocol_error`, `invalid_request` (a header that cannot be sent).
	"""

	status: int | None = None
	headers: dict[str, str] = field(default_factory=dict)
	body: bytes = b""
	error: str | None = None
	message: str = ""
	duration_ms: int = 0


@dataclass
class _Answer:
	"""As much of an answer as has come."""

	status: int | None = None
	headers: dict[str, str] = field(default_factory=dict)
	body: bytes = b""

	def take(self, response: httpcore.Response) -> None:
		"""Read what is kept of an answer."""
		self.status = response.status
		decoded = (
			(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers
		)
		self.headers = {name: value[:LONGEST_HEADER] for name, value in decoded if name in KEPT_HEADERS}
		for part in response.iter_stream():
			self.body = (self.body + part)[:LONGEST_BODY]
			if len(self.body) == LONGEST_BODY:
				return


class Client:
	"""Sends requests; shared by all threads of a process, one for each set of rules. Not to be carried over a fork.

	Args:
		rules: what may be called, and through which proxy.
		resolve: looks a name up and checks what it leads to, as `addresses.resolve` does.
		ssl_context: trust other roots than the system's and certifi's. TLS 1.2 becomes its oldest version.
		keep: how many connections at rest are kept open at most. Each call under way has one besides.

	Raises:
		AddressRefused: the proxy's URL cannot be used.
	"""

	def __init__(
		self,
		rules: Rules,
		resolve: Resolve = addresses.resolve,
		*,
		ssl_context: ssl.SSLContext | None = None,
		keep: int = 128,
	):
		self.rules = rules
		self._ssl_context = ssl_context or httpcore.default_ssl_context()
		self._ssl_context.minimum_version = max(self._ssl_context.minimum_version, ssl.TLSVersion.TLSv1_2)
		self._network = CheckedNetwork(rules, resolve)
		self._kept = _Kept(keep)

	def post(
		self, url: str, body: bytes, headers: dict[str, str], connect_timeout: float = 5, timeout: float = 15
	) -> Reply:
		"""POST `body` and return what came of it; network and receiver raise nothing here.

		Args:
			connect_timeout: seconds for looking up the name, connecting and TLS together.
			timeout: seconds for the whole call, however slowly its bytes drip.
		"""
		call = Call(min(connect_timeout, timeout), timeout)
		answer = _Answer()
		token = CALL.set(call)
		try:
			call.target = addresses.check_url(url, self.rules)
			self._send(call, answer, _request(call.target, body, headers))
			error, message = None, ""
		except Exception as e:
			error, message = _explained(e, call)
		finally:
			CALL.reset(token)
		duration = round((time.monotonic() - call.began) * 1000)
		return Reply(answer.status, answer.headers, answer.body, error, message, duration)

	def close(self) -> None:
		"""Close the kept connections; those of calls under way are closed after them."""
		self._kept.close()

	def _send(self, call: Call, answer: _Answer, request: httpcore.Request) -> None:
		origin = call.target.scheme, call.target.host, call.target.port
		kept = self._kept.take(origin)
		if kept:
			try:
				return self._exchange(origin, kept, answer, request)
			except (httpcore.NetworkError, httpcore.RemoteProtocolError):
				# It may have been closed in the moment it was used again: a fresh one tells. No answer has begun.
				if call.received:
					raise
		self._exchange(origin, self._new_connection(origin), answer, request)

	def _exchange(
		self, origin: Origin, connection: httpcore.HTTPConnection, answer: _Answer, request: httpcore.Request
	) -> None:
		try:
			response = connection.handle_request(request)
			try:
				answer.take(response)
			finally:
				# With more to come, however much that is, this drops the connection.
				response.close()
		finally:
			self._kept.give(origin, connection)

	def _new_connection(self, origin: Origin) -> httpcore.HTTPConnection:
		scheme, host, port = origin
		return httpcore.HTTPConnection(
			httpcore.Origin(scheme.encode(), host.encode(), port),
			ssl_context=self._ssl_context,
			keepalive_expiry=KEPT_ALIVE_SECONDS,
			network_backend=self._network,
		)


class _Kept:
	"""Connections at rest, the one used last at the end.

	httpcore's own pool asks all of them for each of them at every call: with 128 at rest that took 20 ms a call.
	"""

	def __init__(self, most: int):
		self._most = most
		self._lock = threading.Lock()
		self._resting: list[tuple[float, Origin, httpcore.HTTPConnection]] = []

	def take(self, origin: Origin) -> httpcore.HTTPConnection | None:
		"""Return the connection used last that is still open."""
		while connection := self._latest(origin):
			if not connection.has_expired():
				return connection
			connection.close()
		return None

	def give(self, origin: Origin, connection: httpcore.HTTPConnection) -> None:
		"""Keep a connection if it can be used again, else close it."""
		if not connection.is_available():
			connection.close()
			return
		with self._lock:
			self._resting.append((time.monotonic(), origin, connection))
		self._close_surplus()

	def close(self) -> None:
		self._most = 0
		self._close_surplus()

	def _latest(self, origin: Origin) -> httpcore.HTTPConnection | None:
		with self._lock:
			for index in reversed(range(len(self._resting))):
				if self._resting[index][1] == origin:
					return self._resting.pop(index)[2]
		return None

	def _close_surplus(self) -> None:
		"""Close what is too much and what has rested too long."""
		since = time.monotonic() - KEPT_ALIVE_SECONDS
		with self._lock:
			fresh = [entry for entry in self._resting if entry[0] > since]
			kept = fresh[max(len(fresh) - self._most, 0) :]
			closing = self._resting[: len(self._resting) - len(kept)]
			self._resting = kept
		for _since, _origin, connection in closing:
			connection.close()


def _request(target: Target, body: bytes, headers: dict[str, str]) -> httpcore.Request:
	url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
	return httpcore.Request("POST", url, headers=_encoded(headers, target, len(body)), content=body)


def _encoded(headers: dict[str, str], target: Target, length: int) -> list[tuple[bytes, bytes]]:
	ours = {"Host": target.host_header, "Accept-Encoding": "identity", "Content-Length": length}
	if "user-agent" not in {name.lower() for name in headers}:
		ours["User-Agent"] = USER_AGENT
	theirs = {name: value for name, value in headers.items() if name.lower() not in _OWN_HEADERS}
	return [(name.encode("ascii"), str(value).encode()) for name, value in {**ours, **theirs}.items()]


def _explained(error: Exception, call: Call) -> tuple[str, str]:
	"""Return (code, sentence) for what a call may meet; raise what it may not, for that is a bug of ours."""
	found = next(((code, sentence) for kind, code, sentence in _ERRORS if isinstance(error, kind)), None)
	if not found:
		raise error
	code, sentence = _LOST if found[0] == "protocol_error" and not call.received else found
	return code, sentence.format(error, call=call)


_LOST = ("connection_lost", "The receiver closed the connection before it answered.")
# The first that fits counts.
_ERRORS = (
	(NameUnknown, "dns_failed", "{0}"),
	(AddressRefused, "address_refused", "{0}"),
	(httpcore.ConnectTimeout, "timeout", "No connection within {call.connect_timeout:g} s."),
	(httpcore.TimeoutException, "timeout", "No complete answer within {call.timeout:g} s."),
	(TlsFailed, "tls_failed", "No trusted TLS connection: {0}."),
	(httpcore.ConnectError, "connect_failed", "No connection: {0}."),
	(httpcore.ProxyError, "connect_failed", "No connection: {0}."),
	((httpcore.NetworkError, httpcore.RemoteProtocolError), "protocol_error", "The answer broke off: {0}."),
	((httpcore.LocalProtocolError, UnicodeError), "invalid_request", "A header cannot be sent: {0}."),
)
