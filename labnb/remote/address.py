"""How people write where a session is shown: `lab-pc`, `lab-pc:6913`, `http://lab-pc:6913/?token=...`."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from labnb.core import PlanError

PORT = 6913


@dataclass(frozen=True, slots=True)
class Address:
    """A session's host and port, and the token that it asks for."""

    host: str
    port: int = PORT
    token: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The page, without the token."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def parse_address(text: str, port: int = PORT, token: str | None = None) -> Address:
    """Return what `text` says; `port` and `token` hold where it says nothing. Raises PlanError.

    >>> parse_address("lab-pc").url
    'http://lab-pc:6913'
    >>> parse_address("http://lab-pc:7000/?token=abcdefgh").token
    'abcdefgh'
    """
    wrong = f"{text!r} is no address of a session; expected a host, host:port or http://host:port/?token=..."
    whole = (
        text if "://" in text else f"http://[{text}]" if text.count(":") > 1 and "[" not in text else f"http://{text}"
    )
    try:
        parts = urlsplit(whole)
        given = parts.port
    except ValueError as error:
        raise PlanError(f"{wrong}: {error}") from error
    if parts.scheme != "http" or not parts.hostname or any(c.isspace() for c in text):
        raise PlanError(wrong)
    tokens = parse_qs(parts.query).get("token", [])
    return Address(parts.hostname, given or port, token or (tokens[0] if tokens else None))
