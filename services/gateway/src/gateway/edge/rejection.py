"""How the edge says no, before any service has heard of the request."""

from collections.abc import Mapping

from starlette.responses import Response

from chassis.problems import problem


class Rejection(Exception):
    """A request that goes no further; becomes a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Status, stable code, and what to do instead."""
        super().__init__(code)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> Response:
        """The problem document."""
        answer = problem(self.status, self.code, self.title, self.detail)
        answer.headers.update(self.headers)
        return answer


class ClientGone(Exception):
    """The client hung up before its request was whole; there is nobody to answer."""
