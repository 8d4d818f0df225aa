"""What Frappe's request hooks do for the hub: before the endpoint, at authentication, and after the answer."""

import hmac
import re

from werkzeug.wrappers import Request, Response

import frappe
from frappe import _
from frappe.auth import HTTPRequest, validate_auth
from frappe.utils.password import get_decrypted_password

from integration_hub.constants import headers
from integration_hub.core import context, intake, operations, rate_limit, sql
from integration_hub.core.call import Call, request_id_of
from integration_hub.core.errors import as_hub_error
from integration_hub.core.payload import parse
from integration_hub.exceptions import (
	FrappeApiClosed,
	HubError,
	InternalError,
	MalformedJson,
	MethodNotAllowed,
	NotAuthenticated,
	NotFound,
	Paused,
	PayloadTooLarge,
	PermissionDenied,
)

DOCTYPE = "Hub Connected System"

_HUB_PATH = re.compile(r"/api/(?:v[12]/)?method/integration_hub\.api\.")
_ENDPOINT = re.compile(r"/api/(?:v[12]/)?method/integration_hub\.api\.v1\.(\w+\.\w+)/?")
_OPEN_PATHS = ("/api/method/upload_file", "/api/v1/method/upload_file", "/api/v2/method/upload_file")

_NOT_PLAIN = ("cmd", "method", "doctype", "file_url", "library_file_name")


def before_request() -> None:
	"""Keep what callers send out of Frappe's hands, and let the previous secret of a rotation in.

	Frappe has parsed the body by now; a `cmd` in it would call another method than the URL's.
	"""
	if _HUB_PATH.match(frappe.request.path):
		frappe.local.form_dict = frappe._dict()
	_accept_previous_secret()


def _accept_previous_secret() -> None:
	"""Let a system in by the secret it had before a rotation, while both are valid.

	Frappe knows one secret a user and refuses any other before an auth hook runs; so the current one is put in its place.
	"""
	scheme, _sep, token = frappe.request.headers.get("Authorization", "").partition(" ")
	key, _sep, secret = token.partition(":")
	if scheme.lower() != "token" or not secret:
		return
	rows = sql.run(
		"""SELECT name, user FROM `tabHub Connected System`
		WHERE api_key = %s AND previous_secret_valid_until > UTC_TIMESTAMP(6)""",
		(key,),
	)
	if not rows:
		return
	name, user = rows[0]
	previous = get_decrypted_password(DOCTYPE, name, "previous_api_secret", raise_exception=False)
	if previous and hmac.compare_digest(previous.encode(), secret.encode()):
		current = get_decrypted_password("User", user, "api_secret", raise_exception=False)
		frappe.request.environ["HTTP_AUTHORIZATION"] = f"token {key}:{current}"


def authenticate() -> None:
	"""Auth hook: keep a system's user to the hub's own calls.

	Raises:
		FrappeApiClosed: the user of a Connected System calls something else.
	"""
	path, user = frappe.request.path, frappe.session.user
	if user in ("Guest", "Administrator", None, "") or _HUB_PATH.match(path):
		return
	closed = frappe.db.get_value(DOCTYPE, {"user": user, "allow_frappe_api": 0}, "name")
	if closed and not _is_plain_upload(path):
		frappe.flags.hub_refusal = FrappeApiClosed(
			_(
				"These credentials reach Integration Hub's own calls only. To open all of Frappe's API to {0}, switch on “{1}”."
			).format(closed, _("Also allow Frappe's own API"))
		)
		raise frappe.flags.hub_refusal


def _is_plain_upload(path: str) -> bool:
	"""Whether a call does nothing but upload a file.

	Frappe runs the method that `cmd` names instead of the path's, and its upload the one that `method` names; it also
	attaches to documents and takes links, which the scopes know nothing of.
	"""
	return path in _OPEN_PATHS and not any(frappe.form_dict.get(name) for name in _NOT_PLAIN)


def after_request(response: Response | None, request: Request) -> None:
	"""Turn Frappe's own refusals on hub paths (malformed JSON, guest, unknown method) into problem answers."""
	if response is None or headers.REQUEST_ID in response.headers:
		return
	refusal = frappe.flags.pop("hub_refusal", None)
	if refusal or _HUB_PATH.match(request.path):
		_replace(response, _refusal(response, request, refusal))


def _refusal(response: Response, request: Request, refusal: HubError | None) -> Response:
	match = _ENDPOINT.fullmatch(request.path)
	name = match[1] if match else ""
	call = Call(_operation(name), request, request_id_of(request))
	try:
		if not call.operation.guest:
			_identify(call)
		elif request.method == "POST" and response.status_code not in (413, 503):
			# Frappe minds what need not be right here: the session, credentials, what JSON is.
			return intake.receive(name)
		raise refusal or _reason(call, response)
	except HubError as error:
		return intake.turn_away(call, error)


def _operation(name: str):
	try:
		return operations.get(name)
	except KeyError:
		return operations.Operation(name=name or "unknown", summary="", schema=None, handler=None)


def _identify(call: Call) -> None:
	"""Find out who called, also when Frappe gave up before it looked."""
	if frappe.session.user in (None, "", "Guest"):
		try:
			frappe.local.http_request = HTTPRequest()
			validate_auth()
		except Exception as e:
			error = as_hub_error(e)
			if error.transient:
				raise error from e
			raise NotAuthenticated(
				_("Credentials are missing or wrong. Send: Authorization: token <api key>:<api secret>.")
			) from e
	call.caller = context.identify()
	context.check_enabled(call.caller)
	context.check_address(call.caller)
	call.usage = rate_limit.count_call(call.caller)
	rate_limit.check(call.usage)


def _reason(call: Call, response: Response) -> HubError:
	"""Return why Frappe refused a call of a known system before it came to the endpoint."""
	if response.status_code == 503:
		return Paused(_("The site is being updated. Try again in a minute."), retry_after=60)
	if response.status_code == 413:
		return PayloadTooLarge(_("The body is too large; send less in one call."))
	if call.operation.schema is None:
		return NotFound(_("There is no call {0}.").format(call.operation.name))
	method = "POST" if call.operation.writes else "GET"
	if call.request.method != method:
		return MethodNotAllowed(_("{0} takes {1}.").format(call.operation.name, method))
	if call.operation.writes:
		try:
			parse(call.body())
		except HubError as error:
			return error
		except Exception:
			return MalformedJson(_("The body is not JSON."))
	if response.status_code == 403:
		return PermissionDenied(_("Frappe refused the call."))
	return InternalError(_("Something went wrong here; it is on record."))


def _replace(response: Response, problem: Response) -> None:
	response.set_data(problem.get_data())
	response.status_code = problem.status_code
	response.content_type = problem.content_type
	for name, value in problem.headers.items():
		if name not in ("Content-Type", "Content-Length"):
			response.headers[name] = value
