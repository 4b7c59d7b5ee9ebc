"""How faults on a connection never become data: a link around a raw link that proves, repeats, reopens, or fails.

    unknown ── *IDN?, *ESE? ──> in step ── an exchange fails ──> suspect ── proof ──> in step
                                                                   │ no proof
                                                                   v
                       another instrument, or none: LinkError <── lost ── reopened, *IDN? as before, proof ──> in step

Nothing but the proof is exchanged until the link is in step again. Then a reading is asked for again; a setting, or a
query that does more than read, never is: it fails, and the caller knows that its outcome is unknown.
"""

import time
from collections.abc import Callable, Iterable
from enum import Enum
from random import Random
from typing import NoReturn, TypeVar

from labnb.core import LinkError, LinkTimeout, SettingsLost
from labnb.instruments.link import RawLink, Unasked
from labnb.instruments.policy import LinkPolicy
from labnb.instruments.resync import GREETING, Proof, mask_in_greeting, mask_set_by, same_instrument
from labnb.instruments.visa import open_visa

T = TypeVar("T")

_POWER_ON = 128  # in *ESR?


class _State(Enum):
    UNKNOWN = "nothing has been exchanged yet"
    IN_STEP = "the next answer is that of the next question"
    SUSPECT = "an exchange has failed"
    LOST = "nobody answers, or somebody else"
    CLOSED = "closed by us"


class SteadyLink:
    """`raw` with `policy`. `wait` lets seconds pass before an attempt to reopen: a bench's own where time is its.

    Raises SettingsLost, once, before anything is sent to an instrument that has been switched off and on.
    """

    def __init__(
        self,
        raw: RawLink,
        policy: LinkPolicy | None = None,
        *,
        wait: Callable[[float], None] = time.sleep,
        random: Random | None = None,
    ) -> None:
        self.name, self.address = raw.name, raw.address
        self.policy = policy or LinkPolicy()
        self._raw = raw
        self._ask_raw = raw.query
        self._wait = wait
        self._random = random or Random()  # noqa: S311 - to tell answers apart, not a secret
        self._state = _State.UNKNOWN
        self._identity = ""
        self._mask: int | None = None  # what `*ESE` is; None: not an instrument of IEEE 488.2
        self._when_lost: Callable[[], None] = _nothing
        self._asked_once: tuple[str, ...] = ()

    def attend(self, *, when_lost: Callable[[], None], asked_once: Iterable[str] = ()) -> None:
        """Call `when_lost` before SettingsLost is raised; never repeat queries that match `asked_once`."""
        self._when_lost = when_lost
        self._asked_once = tuple(asked_once)

    # ---- a Link

    def write(self, command: str) -> None:
        """Send `command`, once. Raises LinkError if it may not have arrived: then nobody knows what is set."""
        if self._state is not _State.IN_STEP:
            self._recover()
        try:
            self._raw.write(command)
        except LinkError as error:
            self._state = _State.SUSPECT
            raise type(error)(f"{error}; it is not sent again: it may have arrived, read the setting back") from error
        except BaseException:
            self._state = _State.SUSPECT
            raise
        if "*" in command and "*ES" in command.upper():
            self._note(command)

    def query(self, command: str) -> str:
        """Send `command`; return the answer. A reading is asked for again if its answer is missing or damaged."""
        if self._state is _State.IN_STEP:
            try:
                answer = self._ask_raw(command)
            except LinkError as error:
                answer = self._insist(self._ask_raw, command, error)
            except BaseException:
                self._state = _State.SUSPECT  # the answer may still come
                raise
        else:
            answer = self._insist(self._ask_raw, command, None)
        if "*" in command and "*ES" in command.upper():
            self._note(command, answer)
        return answer

    def query_block(self, command: str) -> bytes:
        """Send `command`; return the data of the block that answers it; asked for again like an answer."""
        return self._insist(self._raw.query_block, command, None)

    def clear(self) -> None:
        """Throw away what either side has not read yet."""
        try:
            self._raw.clear()
        except LinkError:
            self._state = _State.SUSPECT if self._state is _State.IN_STEP else self._state
            raise

    def close(self) -> None:
        """End the connection."""
        self._state = _State.CLOSED
        self._raw.close()

    # ---- the policy

    def _insist(self, ask: Callable[[str], T], command: str, failure: LinkError | None) -> T:
        """Ask until there is an answer, or it must not or need not be asked again; `failure`: of the first attempt."""
        asked, unasked = 0, 0
        while True:
            if failure is not None:
                self._state = _State.SUSPECT if self._state is _State.IN_STEP else self._state
                if isinstance(failure, Unasked) and unasked < self.policy.resyncs:
                    unasked += 1  # nothing was sent
                else:
                    asked += 1
                    self._stop_after(asked, command, failure)
            if self._state is not _State.IN_STEP:
                self._recover()
            try:
                return ask(command)
            except LinkError as error:
                failure = error
            except BaseException:
                self._state = _State.SUSPECT
                raise

    def _stop_after(self, asked: int, command: str, failure: LinkError) -> None:
        """Raise `failure` if `command` is not to be sent again."""
        if not self.policy.may_repeat(command, self._asked_once):
            raise type(failure)(f"{failure} (not sent a second time: it does more than read)") from failure
        if asked > self.policy.retries:
            raise type(failure)(f"{failure} (asked {asked} times)") from failure

    def _recover(self) -> None:
        """Bring the link in step. Raises LinkError if that fails, SettingsLost if the instrument was switched off."""
        if self._state is _State.CLOSED:
            raise LinkError(f"{self._where}: nothing sent: the connection is closed; connect again")
        if self._state is _State.UNKNOWN:
            self._greet()
            return
        patience = self._raw.timeout_s
        self._raw.timeout_s = min(patience, self.policy.resync_timeout_s)
        try:
            self._resync()
        finally:
            self._raw.timeout_s = patience

    def _resync(self) -> None:
        if self._state is _State.SUSPECT:
            try:
                self._prove()
            except LinkError:
                self._state = _State.LOST
            else:
                return
        self._reopen()

    def _greet(self) -> None:
        """Learn who this is and whether it speaks IEEE 488.2; forget that it was once switched on."""
        self._identity = self._patiently("*IDN?", self.policy.retries)
        self._raw.poll = self.policy.poll
        try:
            self._mask = mask_in_greeting(self._patiently(GREETING, 1))
        except Unasked:  # twice, where nothing can be unread: here the status byte means something else
            self._raw.poll = False
            self._mask = mask_in_greeting(self._patiently(GREETING, 1))
        except LinkTimeout:  # it does not speak it, or says so late
            self._raw.poll = False
            self._prove()
        if self._mask is None:
            self._raw.poll = False
        self._state = _State.IN_STEP

    def _patiently(self, command: str, retries: int) -> str:
        """Ask for an answer that proves itself by its form."""
        for _ in range(retries):
            try:
                return self._raw.query(command)
            except LinkError:
                self._raw.clear()
        return self._raw.query(command)

    def _prove(self) -> None:
        """Have the instrument answer what nobody else can. Raises LinkError if it does not."""
        failure: LinkError | None = None
        for _ in range(self.policy.resyncs):
            self._raw.clear()
            try:
                if self._proved():
                    return
            except LinkError as error:
                failure = error
        raise LinkError(f"{self._where}: its answers do not belong to the questions; switch it off and on") from failure

    def _proved(self) -> bool:
        if self._mask is None:
            return self._proved_by_name()
        proof = Proof.draw(self._random, self._mask)
        answer = self._raw.query(proof.question)
        if not proof.holds(answer):
            return False
        self._state = _State.IN_STEP
        if proof.switched_on(answer):
            self._forget_switching_on()
            self._settings_lost("has been switched off and on: its settings are those of power-on")
        return True

    def _proved_by_name(self) -> bool:
        """Do the best that an instrument without IEEE 488.2 allows: let late answers arrive, then ask for its name."""
        self._wait(self._raw.timeout_s)
        self._raw.clear()
        if not same_instrument(self._raw.query("*IDN?"), self._identity):
            return False
        self._raw.clear()
        self._state = _State.IN_STEP
        return True

    def _forget_switching_on(self) -> None:
        try:
            self._raw.query("*ESR?")
        except LinkError:
            self._state = _State.SUSPECT

    def _reopen(self) -> None:
        """Open the connection anew, with patience, and go on only with the same instrument."""
        failure: LinkError | None = None
        for pause in self.policy.pauses():
            self._wait(pause)
            try:
                self._raw.reopen()
                self._recognise()
                self._prove()
            except _AnotherInstrument:
                raise
            except LinkError as error:
                failure = error
            else:
                break
        else:
            self._give_up(failure)
        if self._mask is None:
            self._settings_lost("was away and cannot tell whether it was switched off: its settings are unknown")

    def _recognise(self) -> None:
        found = self._raw.query("*IDN?")
        if same_instrument(found, self._identity):
            return
        if self._raw.query("*IDN?") != found:
            raise LinkError(f"{self._where}: what answers there names itself differently each time")
        raise _AnotherInstrument(
            f"{self._where}: another instrument answers there now: {found!r}; it was {self._identity!r}; nothing was "
            "set: check the cable and the address, or connect the new one"
        )

    def _give_up(self, failure: LinkError | None) -> NoReturn:
        raise LinkError(
            f"{self._where}: the connection is lost; {self.policy.reopens} attempts to open it again have failed"
            f"{f', the last one: {failure}' if failure else ''}; check cable and power, then ask again"
        ) from failure

    def _settings_lost(self, what: str) -> NoReturn:
        self._when_lost()
        raise SettingsLost(f"{self._where} {what}, its outputs stay off; nothing was sent: set it up again")

    def _note(self, command: str, answer: str = "") -> None:
        """Look at what people do to the status registers that the proof relies on."""
        if (mask := mask_set_by(command)) is not None and self._mask is not None:
            self._mask = mask
        if command.strip().upper() == "*ESR?" and answer.isdecimal() and int(answer) & _POWER_ON:
            self._settings_lost("has been switched off and on: its settings are those of power-on")

    @property
    def _where(self) -> str:
        return f"{self.name} ({self.address})"


class _AnotherInstrument(LinkError):
    """What answers there is not what was connected."""


def _nothing() -> None:
    """Do nothing."""


def open_steady(
    address: str,
    library: str,
    *,
    name: str,
    timeout_s: float,
    policy: LinkPolicy | None = None,
    wait: Callable[[float], None] | None = None,
) -> SteadyLink:
    """Open `address` of the VISA library `library` as `open_visa` does, and deal with its faults by `policy`.

    `wait`: see `SteadyLink`; None: a simulated bench's time for what stands on it, else everybody's.
    """
    policy = policy or LinkPolicy()
    raw = open_visa(address, library, name=name, timeout_s=timeout_s, terminator=policy.terminator)
    return SteadyLink(raw, policy, wait=wait or raw.wait)
