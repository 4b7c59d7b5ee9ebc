"""What an interface does by itself, whatever instrument hangs on it.

| | USB, TCPIP INSTR | GPIB | TCPIP SOCKET | ASRL |
|---|---|---|---|---|
| end of a message | marked (END) | marked (EOI) | a newline | a newline |
| a new message discards an unread answer (-410) | yes | yes | no | no |
| clear, status byte, trigger | by the bus | by the bus | by the computer alone, or as messages | as SOCKET |
| nobody there: a write | `VI_ERROR_CONN_LOST` | `VI_ERROR_NLISTENERS` | `VI_ERROR_CONN_LOST` | goes nowhere |
| nobody there: a read | `VI_ERROR_CONN_LOST` | `VI_ERROR_TMO` | `VI_ERROR_CONN_LOST` | `VI_ERROR_TMO` |
| back again: the old session | stays dead | works | stays dead | works |

A USB handle, a VXI-11 link and a TCP connection belong to one connection and die with it: open the resource again.
A GPIB address and a serial port belong to the computer's side, and do not know who is at the other end.

Sources: VPP-4.3, viRead, viWrite, viClear and viReadSTB; IEEE 488.1 (no listener: NRFD and NDAC both high); VXI-11,
section B.4 (a link ends with its channel); USBTMC 1.0, 3.
"""

from dataclasses import dataclass
from typing import Literal

Reason = Literal["end", "termination", "count", "timeout", "lost", "unheard"]
"""Why a transfer ended: END came, the termination character came, enough bytes, too late, the connection is gone,
or nobody listens."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One kind of interface."""

    messages: bool
    """It marks the end of a message; otherwise it is a stream of bytes."""
    connects: bool
    """A session on it is a connection, and ends when that is lost."""
    absent: Reason
    """How a write ends when nobody is there."""


_BUS = Interface(messages=True, connects=True, absent="lost")
_GPIB = Interface(messages=True, connects=False, absent="unheard")
_SOCKET = Interface(messages=False, connects=True, absent="lost")
_SERIAL = Interface(messages=False, connects=False, absent="end")


def interface_of(address: str) -> Interface:
    """Return the interface that a VISA address names."""
    address = address.upper()
    if address.endswith("::SOCKET"):
        return _SOCKET
    if address.startswith("ASRL"):
        return _SERIAL
    return _GPIB if address.startswith("GPIB") else _BUS
