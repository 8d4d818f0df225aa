"""Receivers of webhooks on the loopback, well-behaved and hostile, for tests and benchmarks.

with Receiver({"/gone": Answer(410)}) as receiver:
	…  # call receiver.url + "/gone"
	receiver.wait(1)
	assert receiver.requests[0].path == "/gone"
"""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LONGEST_WAIT = 30.0


class Received(NamedTuple):
	"""One request; `time` is `time.time()`, header names are lower case."""

	time: float
	method: str
	path: str
	headers: dict[str, str]
	body: bytes


@dataclass(frozen=True)
class Answer:
	"""What a receiver answers, after `delay` seconds."""

	status: int = 200
	headers: dict[str, str] = field(default_factory=dict)
	body: bytes = b""
	delay: float = 0.0

	def encoded(self) -> bytes:
		headers = {"Content-Length": str(len(self.body)), **self.headers}
		lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
		return f"HTTP/1.1 {self.status} Status\r\n{lines}\r\n".encode() + self.body


class Wire:
	"""The raw connection, for behaviours that break the rules; it is closed after them."""

	def __init__(self, sock: socket.socket, receiver: "Receiver"):
		self.socket = sock
		self._receiver = receiver

	def send(self, data: bytes) -> None:
		self.socket.sendall(data)
		self._receiver.sent += len(data)

	def wait(self, seconds: float = LONGEST_WAIT) -> None:
		"""Wait, but not for longer than the receiver lives."""
		if self._receiver.closing.wait(seconds):
			raise ConnectionAbortedError

	def reset(self) -> None:
		"""Close with RST in place of FIN."""
		self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


# An answer; or what makes one of the request; or what does as it likes with the connection.
Misbehaviour = Callable[[Wire], None]
Behaviour = Answer | Callable[[Received], Answer] | Misbehaviour


def misbehaviour(function: Misbehaviour) -> Misbehaviour:
	"""Mark a function that gets the raw connection in place of the request."""
	function.raw = True
	return function


class Receiver:
	"""An HTTP/1.1 server with keep-alive; one thread a connection.

	Args:
		behave: one behaviour for all paths, or by path (others get an empty 200).
		tls: serve https with this certificate.
		on_accept: a misbehaviour before anything is read, TLS included.
		record: keep the requests in `requests`; `count` goes up in any case.

	`connections` counts those accepted, `sent` the bytes misbehaviours got rid of.
	"""

	def __init__(
		self,
		behave: Behaviour | dict[str, Behaviour] | None = None,
		*,
		tls: "Certificate | None" = None,
		on_accept: Misbehaviour | None = None,
		record: bool = True,
	):
		self.behave = behave or Answer()
		self.requests: list[Received] = []
		self.count = 0
		self.connections = 0
		self.sent = 0
		self._tls = tls
		self._on_accept = on_accept
		self._record = record
		self._changed = threading.Condition()
		self.closing = threading.Event()
		self._open: set[socket.socket] = set()
		self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
		self.port = self._listener.getsockname()[1]
		self.url = f"{'https' if tls else 'http'}://{tls.host if tls else '127.0.0.1'}:{self.port}"

	def __enter__(self) -> "Receiver":
		self._accepting = threading.Thread(target=self._accept, daemon=True)
		self._accepting.start()
		return self

	def __exit__(self, *_exc) -> None:
		self.closing.set()
		with suppress(OSError):
			self._listener.shutdown(socket.SHUT_RDWR)
		self._listener.close()
		self._accepting.join(5)
		self.drop_connections()

	def drop_connections(self) -> None:
		"""Close every connection, as a restart of the receiver would."""
		for sock in list(self._open):
			with suppress(OSError):
				sock.shutdown(socket.SHUT_RDWR)

	def wait(self, count: int, timeout: float = 180) -> None:
		"""Wait until so many requests have come.

		Raises:
			AssertionError: they have not, in time.
		"""
		with self._changed:
			assert self._changed.wait_for(lambda: self.count >= count, timeout), (self.count, count)

	def _accept(self) -> None:
		while not self.closing.is_set():
			try:
				sock, _address = self._listener.accept()
			except OSError:
				return
			with self._changed:
				self.connections += 1
			threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

	def _serve(self, sock: socket.socket) -> None:
		self._open.add(sock)
		try:
			sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
			if self._on_accept:
				self._on_accept(Wire(sock, self))
			if self._tls:
				self._open.discard(sock)
				sock = self._tls.server_context.wrap_socket(sock, server_side=True)
				self._open.add(sock)
			with sock.makefile("rb") as stream:
				while self._answer(sock, stream):
					pass
		except (OSError, ValueError):
			pass  # the client left, or this receiver is closing
		finally:
			self._open.discard(sock)
			sock.close()

	def _answer(self, sock: socket.socket, stream) -> bool:
		request = _read(stream)
		if not request:
			return False
		with self._changed:
			self.count += 1
			if self._record:
				self.requests.append(request)
			self._changed.notify_all()
		behave = self.behave
		if isinstance(behave, dict):
			behave = behave.get(request.path, Answer())
		if getattr(behave, "raw", False):
			behave(Wire(sock, self))
			return False
		answer = behave if isinstance(behave, Answer) else behave(request)
		if answer.delay:
			self.closing.wait(answer.delay)
		sock.sendall(answer.encoded())
		return True


def _read(stream) -> Received | None:
	line = stream.readline()
	if not line:
		return None
	method, path, _version = line.decode("latin-1").split()
	headers = {}
	while (line := stream.readline()) not in (b"\r\n", b""):
		name, _colon, value = line.decode("latin-1").partition(":")
		headers[name.lower()] = value.strip()
	body = stream.read(int(headers.get("content-length", 0)))
	return Received(time.time(), method, path, headers, body)


# -- what hostile receivers do ------------------------------------------------------------------------------------


@misbehaviour
def hang(wire: Wire) -> None:
	"""Take the request (or, on accept, the connection) and never answer."""
	wire.wait()


def drip(start: bytes, every: float = 1.0, drop: bytes = b"x") -> Misbehaviour:
	"""Send `start`, then one byte after the other: heads, bodies, chunks or TLS handshakes that take for ever."""

	@misbehaviour
	def behave(wire: Wire) -> None:
		wire.send(start)
		for _second in range(round(LONGEST_WAIT / every)):
			wire.wait(every)
			wire.send(drop)

	return behave


def flood(start: bytes, drop: bytes, most: int = 64 * 1024 * 1024) -> Misbehaviour:
	"""Send `start`, then `drop` again and again as fast as it is taken, up to `most` bytes."""

	@misbehaviour
	def behave(wire: Wire) -> None:
		wire.send(start)
		for _time in range(most // len(drop)):
			wire.send(drop)

	return behave


def say(data: bytes) -> Misbehaviour:
	"""Send these bytes, whatever they are, and close."""

	@misbehaviour
	def behave(wire: Wire) -> None:
		wire.send(data)

	return behave


def say_and_hang(data: bytes) -> Misbehaviour:
	"""Send these bytes, and nothing more."""

	@misbehaviour
	def behave(wire: Wire) -> None:
		wire.send(data)
		wire.wait()

	return behave


@misbehaviour
def close_early(wire: Wire) -> None:
	"""Take the request and close without an answer."""


@misbehaviour
def reset(wire: Wire) -> None:
	"""Take the request and break the connection."""
	wire.reset()


# -- certificates -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
	"""A certificate for `host`, and the authority that signed it: `ca_file` is what a client must trust."""

	host: str
	ca_file: Path
	chain_file: Path

	@property
	def server_context(self) -> ssl.SSLContext:
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		context.load_cert_chain(self.chain_file)
		return context

	@property
	def client_context(self) -> ssl.SSLContext:
		return ssl.create_default_context(cafile=self.ca_file)


def certificate(host: str, folder: Path, *, days: int = 2) -> Certificate:
	"""Make a certificate for a host name or IP address in `folder`; expired if `days` is negative."""
	root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _key in range(2))
	root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
	root = _signed(root_name, root_name, root_key, root_key, days=2, ca=True)
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
	leaf = _signed(name, root_name, key, root_key, days=days, host=host)
	ca_file, chain_file = folder / f"{host}-ca.pem", folder / f"{host}.pem"
	ca_file.write_bytes(root.public_bytes(serialization.Encoding.PEM))
	private = key.private_bytes(
		serialization.Encoding.PEM,
		serialization.PrivateFormat.PKCS8,
		serialization.NoEncryption(),
	)
	chain_file.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
	return Certificate(host, ca_file, chain_file)


def _signed(subject, issuer, key, signer, *, days: int, ca: bool = False, host: str | None = None):
	now = datetime.datetime.now(datetime.timezone.utc)
	day = datetime.timedelta(days=1)
	builder = (
		x509.CertificateBuilder()
		.subject_name(subject)
		.issuer_name(issuer)
		.public_key(key.public_key())
		.serial_number(x509.random_serial_number())
		.not_valid_before(now - 30 * day)
		.not_valid_after(now + days * day)
	)
	for extension, critical in _extensions(key, signer, ca, host):
		builder = builder.add_extension(extension, critical)
	return builder.sign(signer, hashes.SHA256())


def _extensions(key, signer, ca: bool, host: str | None) -> Iterator[tuple[x509.ExtensionType, bool]]:
	"""Yield (extension, critical): what OpenSSL's strict mode asks for, Python's default since 3.13."""
	yield x509.BasicConstraints(ca=ca, path_length=None), True
	yield x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
	yield x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
	unused = dict.fromkeys(
		(
			"content_commitment",
			"key_encipherment",
			"data_encipherment",
			"key_agreement",
			"encipher_only",
			"decipher_only",
		),
		False,
	)
	yield x509.KeyUsage(digital_signature=True, key_cert_sign=ca, crl_sign=ca, **unused), True
	if host:
		yield x509.SubjectAlternativeName([_general_name(host)]), False
		yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False


def _general_name(host: str) -> x509.GeneralName:
	try:
		return x509.IPAddress(ipaddress.ip_address(host))
	except ValueError:
		return x509.DNSName(host)


# -- a proxy ------------------------------------------------------------------------------------------------------


@contextmanager
def connect_proxy(to_port: int, login: str | None = None, status: int = 200) -> Iterator[tuple[str, list]]:
	"""Run an egress proxy that sends every CONNECT to a port of this machine.

	Yield (its `host:port`, list of (CONNECT target, Proxy-Authorization) as they came).
	"""
	asked = []

	@misbehaviour
	def tunnel(wire: Wire) -> None:
		request = proxy.requests[-1]
		asked.append((request.path, request.headers.get("proxy-authorization")))
		refused = login and asked[-1][1] != login
		wire.send(f"HTTP/1.1 {407 if refused else status} Status\r\n\r\n".encode())
		if status == 200 and not refused:
			with socket.create_connection(("127.0.0.1", to_port)) as there:
				_carry(wire.socket, there)

	with Receiver(tunnel) as proxy:
		yield f"127.0.0.1:{proxy.port}", asked


def _carry(one: socket.socket, other: socket.socket) -> None:
	back = threading.Thread(target=_pump, args=(other, one), daemon=True)
	back.start()
	_pump(one, other)
	back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
	with suppress(OSError):
		while data := source.recv(65536):
			sink.sendall(data)
	for sock in (source, sink):
		with suppress(OSError):
			sock.shutdown(socket.SHUT_RDWR)
