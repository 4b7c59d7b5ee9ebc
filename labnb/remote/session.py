"""Monitoring sessions as people import them: with a web page, remote observers and mail."""

import asyncio
import contextlib
import importlib
import ssl
from collections.abc import AsyncGenerator, Sequence
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from labnb.core import PlanError
from labnb.remote.mail import Account, Postman, Report, Secret, account_of, load_mail, message_of
from labnb.session.monitoring import Accompaniment, Alarm, MonitoringSession, Notify, picture_of

if TYPE_CHECKING:
    from labnb.remote.server import MonitorServer

_SETTLE_S = 0.1  # that plots have begun when the first mail is written
_ALARM_TRIES_S = 300.0


class AsyncSession(MonitoringSession):
    """Monitor an experiment for hours and days: log numbers, plot them, watch limits, show all that over the network.

    ```python
    async def monitoring_task(sesn):
        sesn.add_entry(voltage=(await dmm.measure_voltage_dc()).values)
        await sesn.sleep(10)

    with AsyncSession("oven") as sesn:
        asyncio.run(sesn.monitor(monitoring_task, sesn.plot(["voltage"])))
    ```
    Data are kept as any run's: crash-safe, and a plain `xarray.open_zarr` reads them meanwhile. A session of a name
    that exists goes on with it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._postmen: list[Postman] = []
        self._url: str | None = None

    @property
    def url(self) -> str | None:
        """The address of its page while it is shown, for a browser and for `RemoteObserver`; else None."""
        return self._url

    async def monitor(
        self, *tasks: object, server_port: int | None = 6913, host: str = "127.0.0.1", token: str | None = None
    ) -> None:
        """Run tasks until they end, `ask_exit()` or Ctrl-C, and show the session at `http://host:server_port` meanwhile.

        An async function is called again and again, with the session if it takes an argument; a coroutine runs once;
        `plot`, `send_email` go along. When a task raises, the others are cancelled, and its error, which names it, is
        raised. Instruments that the tasks used are made safe on every exit.
        `server_port`: None shows nothing, 0 takes any free port. Another `host` than this computer needs a `token`.
        Raises PlanError for what is no task or port, RemoteError if the port is taken, LifecycleError if a monitor goes
        on already, RunCancelled when a second Ctrl-C cut it short.
        """
        await self._watch_over(tasks, self._served(server_port, host, token))

    @contextlib.asynccontextmanager
    async def _served(self, port: object, host: str, token: str | None) -> AsyncGenerator[None]:
        if port is None:
            yield
            return
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
            raise PlanError(f"monitor: server_port is None (no server), 0 (any free one) or a port, got {port!r}")
        server_module = await asyncio.to_thread(importlib.import_module, "labnb.remote.server")  # aiohttp takes 0.2 s
        server: MonitorServer = server_module.MonitorServer(self, host=host, port=port, token=token)
        await server.start()
        try:
            self._url = server.url
            self._say(f"session {self.name}: {server.url}")
            yield
        finally:
            self._url = None
            await server.close()

    # ---- mail

    def send_email(  # noqa: PLR0917  as the reference has them
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        host: str = "localhost",
        port: int | None = None,
        subject: str | None = None,
        delay_hours: float = 6,
        initial_delay_hours: float | None = None,
        use_ssl_submission: bool = False,
        use_starttls: bool = False,
        user: str | None = None,
        password: str | None = None,
        *,
        tls_context: ssl.SSLContext | None = None,
        retry_s: float = 30.0,
    ) -> Accompaniment:
        """Return a task that mails a table of the last values and a picture of each plot, every `delay_hours`.

        The first mail follows after `initial_delay_hours` (half of `delay_hours`). `port`: 465 with
        `use_ssl_submission`, 587 with `use_starttls`, else 25. `tls_context`: for a server with a certificate of its
        own. A server that does not answer is tried again after `retry_s`, then twice as long and so on.
        Raises PlanError for what cannot be, also a login without encryption, and RemoteError without aiosmtplib.
        """
        secret = None if password is None else Secret(password)
        del password  # IPython's verbose tracebacks show what a frame holds
        account = account_of(
            from_addr,
            to_addrs,
            host,
            port,
            use_ssl_submission=use_ssl_submission,
            use_starttls=use_starttls,
            user=user,
            password=secret,
            tls_context=tls_context,
        )
        first = delay_hours / 2 if initial_delay_hours is None else initial_delay_hours
        for what, hours in (("delay_hours", delay_hours), ("initial_delay_hours", first), ("retry_s", retry_s)):
            if not hours >= 0 or (not hours and what != "initial_delay_hours"):
                raise PlanError(f"send_email: {what} must be positive, got {hours!r}")
        postman = Postman(account, self._tell, retry_s)
        self._postmen.append(postman)
        return Accompaniment(
            f"mail to {', '.join(account.to)}",
            lambda: self._mail(postman, subject or self.name, first, delay_hours),
            load_mail,
        )

    async def _mail(self, postman: Postman, subject: str, first: float, every: float) -> None:
        await self.sleep(max(first * 3600, _SETTLE_S))
        while self.running:

            async def compose() -> EmailMessage:
                return await self._report(postman.account, subject)

            if not await postman.deliver(compose, self.sleep, lambda: self.running):
                return
            await self.sleep(every * 3600)

    async def _report(self, account: Account, subject: str, lead: str = "") -> EmailMessage:
        pictures = {chart.title: await picture_of(chart, self) for chart in tuple(self._charts)}
        report = Report(subject, self.logged_last_values(), self.units(), pictures, lead)
        return await asyncio.to_thread(message_of, account, report)

    def _notifier(self, notify: object) -> Notify:
        return self._mail_alarm if notify == "mail" else super()._notifier(notify)

    async def _mail_alarm(self, alarm: Alarm) -> None:
        """Mail an alarm to everybody who gets mail of this session; a server that is down is tried for five minutes."""
        if not self._postmen:
            self._tell(
                f"nobody gets a mail about {alarm.limits.text!r}: send_email() was not called, which says to whom"
            )
        text = alarm.text
        await asyncio.gather(*(self._mail_one(postman, text) for postman in tuple(self._postmen)))

    async def _mail_one(self, postman: Postman, text: str) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _ALARM_TRIES_S

        async def compose() -> EmailMessage:
            return await self._report(postman.account, f"{self.name}: {text}", text)

        await postman.deliver(compose, self.sleep, lambda: self.running and loop.time() < until)
