"""The registry's error codes and their bodies, as the specification lists them under "Error Codes"."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

STATUS: Mapping[str, HTTPStatus] = MappingProxyType(
    {
        "BLOB_UNKNOWN": HTTPStatus.NOT_FOUND,
        "BLOB_UPLOAD_INVALID": HTTPStatus.BAD_REQUEST,
        "BLOB_UPLOAD_UNKNOWN": HTTPStatus.NOT_FOUND,
        "DENIED": HTTPStatus.FORBIDDEN,
        "DIGEST_INVALID": HTTPStatus.BAD_REQUEST,
        "MANIFEST_BLOB_UNKNOWN": HTTPStatus.NOT_FOUND,
        "MANIFEST_INVALID": HTTPStatus.BAD_REQUEST,
        "MANIFEST_UNKNOWN": HTTPStatus.NOT_FOUND,
        "NAME_INVALID": HTTPStatus.BAD_REQUEST,
        "NAME_UNKNOWN": HTTPStatus.NOT_FOUND,
        "SIZE_INVALID": HTTPStatus.BAD_REQUEST,
        "TOOMANYREQUESTS": HTTPStatus.TOO_MANY_REQUESTS,
        "UNAUTHORIZED": HTTPStatus.UNAUTHORIZED,
        "UNKNOWN": HTTPStatus.INTERNAL_SERVER_ERROR,
        "UNSUPPORTED": HTTPStatus.METHOD_NOT_ALLOWED,
    }
)
"""Code → the status it travels with, unless the raiser says otherwise."""


class RegistryError(Exception):
    """A refusal that the client is told: a code of the specification, a sentence, and a status."""

    def __init__(
        self, code: str, message: str, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = int(status or STATUS[code])
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """Return the answer with the body `{"errors": [{"code", "message"}]}`."""
        body = {"errors": [{"code": self.code, "message": str(self)}]}
        return web.json_response(body, status=self.status, headers=self.headers)
