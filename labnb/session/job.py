"""What the engine is given: a job to run, and a view that shows it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from labnb.core import LoopAxis, Sink
from labnb.instruments import Channel, Device, Instrument
from labnb.session._channels import Targets
from labnb.session._task import Companion
from labnb.session.outline import Outline
from labnb.session.steps import Steps

BlockingBody = Callable[[Steps], None]
AwaitingBody = Callable[[Steps], Awaitable[None]]


class Coded(Protocol):
    """The session behind a run."""

    def code(self) -> str:
        """Return Python that measures the same by `labnb.Measurement`. Raises PlanError for what that cannot do."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: the outline, the axes that are known beforehand, a body that walks through them, and its tasks.

    `targets` are the channels that axes set, in the order of what is in lock-step, `units` those that know the unit of
    a variable, `channels` all that the body is known to use; `devices` are the instruments of other people's drivers
    that are described in the metadata. With `apart` an awaiting body runs on a loop of its own, in a thread; else
    `apart_by` says what would have it do so, to be suggested when it stands still with everybody else.
    """

    name: str
    outline: Outline
    body: BlockingBody | AwaitingBody
    awaiting: bool
    axes: Mapping[int, LoopAxis] = field(default_factory=dict[int, LoopAxis])
    instruments: Sequence[Instrument] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    tasks: Sequence[Companion] = ()
    targets: Mapping[int, Targets] = field(default_factory=dict[int, Targets])
    units: Mapping[str, Channel] = field(default_factory=dict[str, Channel])
    channels: Sequence[Channel] = ()
    devices: Sequence[Device] = ()
    apart: bool = False
    apart_by: str = ""
    session: Coded | None = None


class View(Protocol):
    """Shows a run. Its `sink` takes the points; `update` is called on the run's loop at most ten times a second."""

    @property
    def sink(self) -> Sink:
        """Where the points go."""
        ...

    def update(self) -> None:
        """Show the present snapshot."""
        ...

    def show(self) -> None:
        """Show it once more, where this is called."""
        ...

    async def end(self) -> None:
        """Show the final state, for ever."""
        ...
