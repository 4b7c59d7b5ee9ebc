"""What carries texts to one instrument and back."""

from typing import Protocol

from labnb.core import LinkError


class Link(Protocol):
    """One connection. Methods block and are called from one thread at a time, the connection's lane.

    Every failure is a LinkError (LinkTimeout if the answer did not come) that names instrument, address and command;
    a damaged or incomplete answer is a failure, never a value. `LinkContract` in `labnb.testing` tests an
    implementation.
    """

    def write(self, command: str) -> None:
        """Send `command`."""
        ...

    def query(self, command: str) -> str:
        """Send `command`; return the answer without its terminator."""
        ...

    def query_block(self, command: str) -> bytes:
        """Send `command`; return the data of the definite-length block (IEEE 488.2, 8.7.9) that answers it."""
        ...

    def clear(self) -> None:
        """Throw away what either side has not read yet."""
        ...

    def close(self) -> None:
        """End the connection; closing twice does no harm. The instrument's outputs stay as they are."""
        ...


class RawLink(Link, Protocol):
    """A link that can be opened again, as `SteadyLink` needs it; `name` and `address` are the instrument's."""

    name: str
    address: str

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for, in s."""
        ...

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None: ...

    @property
    def poll(self) -> bool:
        """Whether to look for an unread answer before each question, and raise Unasked if there is one."""
        ...

    @poll.setter
    def poll(self, wanted: bool) -> None: ...

    def reopen(self) -> None:
        """End the connection and make a new one to the same address."""
        ...


class Unasked(LinkError):
    """Something had arrived that nobody had asked for; the command was not sent."""
