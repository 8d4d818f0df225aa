"""The only way out over HTTP: checked addresses, one deadline, bounded answers, no redirects. Pure.

httpcore speaks HTTP and keeps the connections, over the sockets of `core/network.py`, which connect to addresses that
`core/addresses.py` has checked. Environment variables such as `HTTPS_PROXY` are not read.
"""

import ssl
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


@dataclass(frozen=True)
class Reply:
	"""How a call ended.

	`status` and `error` may both be set: the answer began with that status and then broke off. `headers` are those of
	KEPT_HEADERS, in lower case, cut at LONGEST_HEADER characters; `body` is as sent, cut at LONGEST_BODY bytes; `message` is for logs and people, in English.

	`error` is one of: `address_refused`, `dns_failed`, `connect_failed`, `tls_failed`, `timeout`, `connection_lost` (closed
	before the first byte of an answer), `protocol_error`, `invalid_request` (a header that cannot be sent), `too_many` (no
	connection was free until the deadline).
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


class Client:
	"""Sends requests; shared by all threads of a process, one for each set of rules. Not to be carried over a fork.

	Args:
		rules: what may be called, and through which proxy.
		resolve: looks a name up and checks what it leads to, as `addresses.resolve` does.
		ssl_context: trust other roots than the system's and certifi's. TLS 1.2 becomes its oldest version.
		max_connections: how many may be open at once, kept ones included.

	Raises:
		AddressRefused: the proxy's URL cannot be used.
	"""

	def __init__(
		self,
		rules: Rules,
		resolve: Resolve = addresses.resolve,
		*,
		ssl_context: ssl.SSLContext | None = None,
		max_connections: int = 256,
	):
		self.rules = rules
		self._ssl_context = ssl_context or httpcore.default_ssl_context()
		self._ssl_context.minimum_version = max(self._ssl_context.minimum_version, ssl.TLSVersion.TLSv1_2)
		self._backend = CheckedNetwork(rules, resolve)
		self._max_connections = max_connections
		self._pool = self._new_pool()

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
			self._send(call, answer, body, _encoded(headers, call.target))
			error, message = None, ""
		except Exception as e:
			error, message = _explained(e, call)
		finally:
			CALL.reset(token)
		duration = round((time.monotonic() - call.began) * 1000)
		return Reply(answer.status, answer.headers, answer.body, error, message, duration)

	def close(self) -> None:
		"""Close all connections; calls under way on them end with an error."""
		self._pool.close()

	def _new_pool(self) -> httpcore.ConnectionPool:
		return httpcore.ConnectionPool(
			ssl_context=self._ssl_context,
			max_connections=self._max_connections,
			keepalive_expiry=KEPT_ALIVE_SECONDS,
			network_backend=self._backend,
		)

	def _send(self, call: Call, answer: _Answer, body: bytes, headers: list) -> None:
		try:
			_exchange(self._pool, call, answer, body, headers)
		except (httpcore.NetworkError, httpcore.RemoteProtocolError):
			# A kept connection may be closed by the receiver in the moment it is used again. A fresh one tells.
			if call.connected or call.received:
				raise
			with self._new_pool() as fresh:
				_exchange(fresh, call, answer, body, headers)


def _exchange(pool: httpcore.ConnectionPool, call: Call, answer: _Answer, body: bytes, headers: list) -> None:
	target = call.target
	url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
	wait = {"timeout": {"pool": call.left(httpcore.PoolTimeout)}}
	with pool.stream("POST", url, headers=headers, content=body, extensions=wait) as response:
		answer.status = response.status
		answer.headers = _kept(response.headers)
		for part in response.iter_stream():
			answer.body = (answer.body + part)[:LONGEST_BODY]
			if len(answer.body) == LONGEST_BODY:
				# Leaving drops the connection when there is more to come, however much that is.
				return


def _encoded(headers: dict[str, str], target: Target) -> list[tuple[bytes, bytes]]:
	ours = {"Host": target.host_header, "Accept-Encoding": "identity"}
	if "user-agent" not in {name.lower() for name in headers}:
		ours["User-Agent"] = USER_AGENT
	theirs = {name: value for name, value in headers.items() if name.lower() not in _OWN_HEADERS}
	return [(name.encode("ascii"), str(value).encode()) for name, value in {**ours, **theirs}.items()]


def _kept(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
	decoded = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
	return {name: value[:LONGEST_HEADER] for name, value in decoded if name in KEPT_HEADERS}


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
	(httpcore.PoolTimeout, "too_many", "No connection was free within {call.timeout:g} s."),
	(httpcore.ConnectTimeout, "timeout", "No connection within {call.connect_timeout:g} s."),
	(httpcore.TimeoutException, "timeout", "No complete answer within {call.timeout:g} s."),
	(TlsFailed, "tls_failed", "No trusted TLS connection: {0}."),
	(httpcore.ConnectError, "connect_failed", "No connection: {0}."),
	(httpcore.ProxyError, "connect_failed", "No connection: {0}."),
	((httpcore.NetworkError, httpcore.RemoteProtocolError), "protocol_error", "The answer broke off: {0}."),
	((httpcore.LocalProtocolError, UnicodeError), "invalid_request", "A header cannot be sent: {0}."),
)
