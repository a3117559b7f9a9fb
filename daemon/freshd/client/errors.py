"""What can go wrong for a program that asks, with cause and remedy."""


class ClientError(Exception):
    """The daemon answered no (or nobody answered).

    kind         the last part of the problem's type, stable
    status       HTTP status, 0 where there was no answer
    remedy       what helps, in plain words
    retry_after  seconds, where the daemon named them
    maximum      the longest min_ttl this account can have, where that was the matter
    """

    def __init__(
        self,
        cause: str,
        remedy: str = "",
        *,
        kind: str = "error",
        status: int = 0,
        retry_after: float | None = None,
        maximum: float | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.maximum = maximum


class Unreachable(ClientError):
    """No daemon answers on the socket."""


class Denied(ClientError):
    """This program may not have that, or it does not exist."""


class Temporary(ClientError):
    """Ask again later."""
