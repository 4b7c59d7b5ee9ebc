"""Who is let in: decided from the request's target and headers alone, before anything of the session is touched.

A page of somebody else, open in a browser of this computer, may send requests to the loopback too, and by a name of its
own that it points to 127.0.0.1 (DNS rebinding) it may even read the answers. So on the loopback only the loopback's
names are answered; on other addresses, which have names that we cannot know, the token decides.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from labnb.core import PlanError

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*))(?::\d{1,5})?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered, and with which status of HTTP."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules for one address: the names by which it may be asked (None: any), and the token (None: not needed)."""

    names: frozenset[str] | None
    token: str | None

    def refusal(
        self, target: str, hosts: Sequence[str], credentials: Sequence[str], *, free: bool = False
    ) -> Refusal | None:
        """Return why a request is refused, or None.

        `target` stands in the request's first line, `hosts` are its Host headers, `credentials` what it gives as
        tokens. What is `free` (the page's program, which knows nothing of the session) needs no token.
        """
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if not target.startswith("/") or match is None:
            return Refusal(400, "a request names a path, and the host it is for in one Host header")
        name = match["name"].lower().removesuffix(".")
        if self.names is not None and name not in self.names:
            return Refusal(403, f"this server does not answer to the name {name!r}; ask for http://127.0.0.1 instead")
        if free or self.token is None or any(_same(given, self.token) for given in credentials):
            return None
        what = "is wrong" if credentials else "is missing"
        return Refusal(401, f"the token {what}; give `?token=...` or the header `Authorization: Bearer ...`")


def _same(given: str, token: str) -> bool:
    """Compare in a time that does not tell how many letters are right."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def gate_for(host: str, token: str | None) -> Gate:
    """Return the rules for an address; without a token, another one than the loopback gets a random one.

    Raises PlanError for an empty token.
    """
    if token is not None and len(token) < 8:
        raise PlanError("a token that protects a session needs 8 characters at least; leave it out for a random one")
    if is_loopback(host):
        literal = f"[{host.strip('[]')}]" if ":" in host else host
        return Gate(_LOOPBACK | {literal.lower()}, token)
    return Gate(None, token or secrets.token_urlsafe(24))
