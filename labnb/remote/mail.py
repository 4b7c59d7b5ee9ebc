"""Mail from a session: the last values as a table, and a picture of every plot.

The password is held by one object that shows it to nobody but the SMTP client. A server that cannot be reached is tried
again and again, at growing distances; nothing of that holds up the session.
"""

import asyncio
import contextlib
import html
import ipaddress
import math
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from importlib import import_module
from importlib.util import find_spec
from typing import final

from labnb.core import PlanError, RemoteError

_TIMEOUT_S = 60.0
_LONGEST_WAIT_S = 3600.0


@final
class Secret:
    """A text that no message, log or file shall have: only `reveal` gives it."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """Return it, for the one who needs it."""
        return self._reveal()

    def hide_in(self, text: str) -> str:
        """Return `text` without it."""
        secret = self.reveal()
        return text.replace(secret, "***") if secret else text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a password is not to be copied or kept")


@dataclass(frozen=True, slots=True)
class Account:
    """Where mail goes out, from whom, to whom. Made by `account_of`, which checks it."""

    sender: str
    to: tuple[str, ...]
    host: str
    port: int
    use_ssl: bool
    use_starttls: bool
    user: str | None
    password: Secret | None
    tls_context: ssl.SSLContext | None = None

    def scrubbed(self, error: BaseException) -> str:
        """Return what went wrong, in one line, without the password."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return text if self.password is None else self.password.hide_in(text)

    async def send(self, message: EmailMessage) -> Mapping[str, str]:
        """Hand `message` to the server; return who did not get it, and why.

        Raises OSError and aiosmtplib's errors, and RemoteError, which has no frame with the password, for any other.
        """
        import aiosmtplib

        context = self.tls_context
        if context is None and (self.use_ssl or self.use_starttls):
            context = await asyncio.to_thread(ssl.create_default_context)  # 20 ms
        try:
            refused, _ = await aiosmtplib.send(
                message,
                sender=parseaddr(self.sender)[1],
                recipients=[parseaddr(each)[1] for each in self.to],
                hostname=self.host,
                port=self.port,
                timeout=_TIMEOUT_S,
                use_tls=self.use_ssl,
                start_tls=self.use_starttls,
                tls_context=context,
                username=self.user,
                password=None if self.password is None else self.password.reveal(),
            )
        except (OSError, aiosmtplib.SMTPException):
            raise
        except Exception as error:  # noqa: BLE001  frames of it hold the password
            raise RemoteError(self.scrubbed(error)) from None
        return {address: f"{code} {reason}" for address, (code, reason) in refused.items()}


def load_mail() -> None:
    """Import what sending takes."""
    import_module("aiosmtplib")


def account_of(
    from_addr: str,
    to_addrs: str | Sequence[str],
    host: str,
    port: object,
    *,
    use_ssl_submission: bool,
    use_starttls: bool,
    user: str | None,
    password: Secret | None,
    tls_context: ssl.SSLContext | None,
) -> Account:
    """Return the account that these mean. Raises PlanError for what cannot be, RemoteError without aiosmtplib."""
    if find_spec("aiosmtplib") is None:
        raise RemoteError("send_email needs aiosmtplib, which is not installed; run: pip install 'labnb[monitor]'")
    to = (to_addrs,) if isinstance(to_addrs, str) else tuple(to_addrs)
    for address in (from_addr, *to):
        _check_address(address)
    if not to:
        raise PlanError("send_email: to_addrs is empty; give at least one address")
    if use_ssl_submission and use_starttls:
        raise PlanError(
            "send_email: use_ssl_submission (port 465) and use_starttls (port 587) are two ways; choose one"
        )
    if (user is None) is not (password is None):
        raise PlanError("send_email: a login needs both user and password")
    encrypted = use_ssl_submission or use_starttls
    if password is not None and not encrypted and not _is_here(host):
        raise PlanError(
            f"send_email: a login at {host} without encryption would show the password to everybody on the way; "
            "use_starttls=True or use_ssl_submission=True"
        )
    chosen = port if port is not None else 465 if use_ssl_submission else 587 if use_starttls else 25
    if isinstance(chosen, bool) or not isinstance(chosen, int) or not 0 < chosen < 65536:
        raise PlanError(f"send_email: port is a number from 1 to 65535, got {port!r}")
    return Account(from_addr, to, host, chosen, use_ssl_submission, use_starttls, user, password, tls_context)


def _check_address(address: object) -> None:
    found = parseaddr(address)[1] if isinstance(address, str) else ""
    if "@" not in found[1:-1] or any(c in str(address) for c in "\r\n"):
        raise PlanError(f"send_email: {address!r} is no mail address; expected e.g. 'oven@lab.example'")


def _is_here(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@dataclass(frozen=True, slots=True)
class Report:
    """What a mail tells: `values` are (timestamp s, value) by name, `pictures` PNGs by title."""

    subject: str
    values: Mapping[str, tuple[float, float]]
    units: Mapping[str, str]
    pictures: Mapping[str, bytes]
    lead: str = ""


def message_of(account: Account, report: Report) -> EmailMessage:
    """Return a report as a mail with a text and an HTML form; pictures stand in the latter."""
    message = EmailMessage()
    message["Subject"] = " ".join(report.subject.split())
    message["From"], message["To"] = account.sender, ", ".join(account.to)
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain="labnb.invalid")
    rows = [_row(name, *report.values[name], report.units.get(name, "")) for name in sorted(report.values)]
    lines = [report.lead, *("  ".join(row) for row in rows)] if rows else [report.lead, "nothing logged yet"]
    message.set_content("\n".join(line for line in lines if line) + "\n")
    ids = {title: make_msgid(domain="labnb.invalid") for title in report.pictures}
    message.add_alternative(_html(report, rows, ids), subtype="html")
    page = message.get_payload(1)
    for title, picture in report.pictures.items():
        page.add_related(picture, "image", "png", cid=ids[title], filename=f"{title}.png")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  an EmailMessage, typed as text
    return message


def _row(name: str, timestamp: float, value: float, unit: str) -> tuple[str, str, str]:
    shown = f"{value:.7g}" if math.isfinite(value) else str(value)
    return name, f"{shown} {unit}".rstrip(), f"{datetime.fromtimestamp(timestamp).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _html(report: Report, rows: list[tuple[str, str, str]], ids: Mapping[str, str]) -> str:
    cell = 'style="padding:4px 14px 4px 0;border-bottom:1px solid #ddd;text-align:left"'
    head = "".join(f"<th {cell}>{text}</th>" for text in ("variable", "last value", "time"))
    body = "".join("<tr>" + "".join(f"<td {cell}>{html.escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    lead = f"<p>{html.escape(report.lead)}</p>" if report.lead else ""
    pictures = "".join(
        f'<p><img src="cid:{ids[title][1:-1]}" alt="{html.escape(title)}" style="max-width:100%"></p>' for title in ids
    )
    return (
        '<!doctype html><html><body style="font-family:sans-serif">'
        f"<h2>{html.escape(report.subject)}</h2>{lead}"
        f'<table style="border-collapse:collapse"><tr>{head}</tr>{body}</table>{pictures}</body></html>'
    )


@final
class Postman:
    """Delivers the mails of one account. `tell` shows what goes wrong; the first wait between two tries is `retry_s`."""

    def __init__(self, account: Account, tell: Callable[[str], None], retry_s: float) -> None:
        self.account, self._tell, self._retry_s = account, tell, retry_s

    async def deliver(
        self,
        compose: Callable[[], Awaitable[EmailMessage]],
        sleep: Callable[[float], Awaitable[None]],
        going: Callable[[], bool],
    ) -> bool:
        """Send one mail, however often that has to be tried while `going`; return False if it never will be.

        It is composed anew for every try, so that what arrives late is not old.
        """
        wait_s = self._retry_s
        while True:
            failure = await self._try(await compose())
            if failure is None:
                return True
            text, hopeless = failure
            if hopeless or not going():
                self._tell(f"mail by {self.account.host}:{self.account.port} was not sent: {text}")
                return not hopeless
            self._tell(f"mail by {self.account.host}:{self.account.port} failed: {text}; tried again in {wait_s:g} s")
            await sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            if not going():
                return True

    async def _try(self, message: EmailMessage) -> tuple[str, bool] | None:
        """Return nothing, or what went wrong and whether trying again could only do harm."""
        import aiosmtplib

        try:
            refused = await self.account.send(message)
        except aiosmtplib.SMTPAuthenticationError as error:
            return f"{self.account.scrubbed(error)}; mail is switched off, since tries may lock the account", True
        except RemoteError as error:  # which is an OSError too: before those that may pass
            return f"{error}; mail is switched off", True
        except (aiosmtplib.SMTPException, OSError) as error:
            return self.account.scrubbed(error), False
        for address, why in refused.items():
            self._tell(f"mail did not reach {address}: {why}")
        return None
