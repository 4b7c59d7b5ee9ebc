"""Which errors labnb raises, grouped by what a handler would do about them.

```
LabnbError
├── PlanError         (ValueError)    the request cannot be measured; nothing has moved
│   └── CellError     (SyntaxError)   the body of a cell breaks a rule; carries the cell's own line
├── BenchFileError    (ValueError)    a bench file cannot be what it says; carries file and lines
├── SchemaError       (TypeError)     a value does not fit what its variable recorded before
├── RecordError       (OSError)       a point or a run could not be stored or opened
│   └── RunLocked                     another process writes this run
├── RemoteError       (OSError)       another computer, or the server for it, could not be reached or refuses
├── LifecycleError    (RuntimeError)  the run is in a state that does not allow this
│   └── RunCancelled                  the run that is awaited was cancelled; its points are kept
└── InstrumentError                   something between here and the instrument failed
    ├── LimitError    (ValueError)    a safety limit forbids the value; nothing was sent
    ├── LinkError     (OSError)       the connection failed
    │   └── LinkTimeout (TimeoutError) no answer in time
    ├── SettingsLost                  the instrument was switched off and on; set it up again
    └── CommandError                  the instrument reported an error of its own
```
"""


class LabnbError(Exception):
    """Root of everything that labnb raises on purpose."""


class PlanError(LabnbError, ValueError):
    """The request cannot be measured as given; nothing has moved."""


class CellError(PlanError, SyntaxError):
    """The body of a cell breaks a rule; `lineno` and `text` are the cell's own."""


class BenchFileError(LabnbError, ValueError):
    """A bench file cannot be what it says; `file` names it, `lines` are those of its mistakes, one each."""

    def __init__(self, message: str, file: str = "", lines: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.file = file
        self.lines = lines


class SchemaError(LabnbError, TypeError):
    """A value does not fit what its variable recorded before; the points before it stay."""


class RecordError(LabnbError, OSError):
    """A point or a run could not be stored or opened."""


class RunLocked(RecordError):
    """Another process (or another run of this one) writes the same folder."""


class RemoteError(LabnbError, OSError):
    """Another computer could not be reached, refuses, or does not speak as expected; or nobody can be served here."""


class LifecycleError(LabnbError, RuntimeError):
    """The run is in a state that does not allow what was asked."""


class RunCancelled(LifecycleError):
    """The run that is awaited was cancelled; its points are kept."""


class InstrumentError(LabnbError):
    """Something between here and the instrument failed."""


class LimitError(InstrumentError, ValueError):
    """A safety limit forbids the value; nothing was sent."""


class LinkError(InstrumentError, OSError):
    """The connection to the instrument failed."""


class LinkTimeout(LinkError, TimeoutError):
    """The instrument did not answer in time."""


class CommandError(InstrumentError):
    """The instrument reported an error of its own after a command."""


class SettingsLost(InstrumentError):
    """The instrument was switched off and on, or may have been: what was set before is gone; nothing was sent."""
