"""Which physical connection a driver's object stands on, and the one lane of each connection.

Whoever speaks over one connection queues up in one lane, be it two parameters of one driver or two drivers that have
opened one address.
"""

import inspect
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import cast

from labnb.instruments.lane import Lane

# Where drivers keep what they speak through: QCoDeS, PyMeasure, InstrumentKit, easy-scpi, and what people write.
_PLACES = (
    ("visa_handle",),
    ("adapter", "connection"),
    ("_file",),
    ("inst",),
    ("resource",),
    ("_resource",),
    ("instr",),
    ("_inst",),
    ("connection",),
)
_PARENTS = ("root_instrument", "parent", "_parent", "_instrument", "_owner")
_DEPTH = 10


def connection_of(thing: object) -> object:
    """Return the handle below `thing`, a driver or a part of one; the driver itself if it shows none."""
    whole = thing
    for whole in whole_of(thing):
        if isinstance(lane := _part(whole, "lane"), Lane):  # labnb's own
            return lane
        for place in _PLACES:
            handle = _follow(whole, place)
            if handle is not None:
                return handle
    return whole


def whole_of(thing: object) -> Iterator[object]:
    """Yield `thing`, what it is a part of, and so on, outermost last."""
    for _ in range(_DEPTH):
        yield thing
        above = next((up for up in (_part(thing, name) for name in _PARENTS) if up is not None), None)
        if above is None or above is thing:
            return
        thing = above


def _follow(thing: object, place: tuple[str, ...]) -> object:
    for name in place:
        thing = _part(thing, name)
        if thing is None:
            return None
    return thing


def _part(thing: object, name: str) -> object:
    """Return the attribute if it is an object of its own; drivers that answer to every name are not asked."""
    try:
        inspect.getattr_static(thing, name)
        part = getattr(thing, name)
    except Exception:  # noqa: BLE001  a driver may raise whatever it likes for what it does not have at the moment
        return None
    plain = part is None or isinstance(part, str | bytes | int | float | type) or inspect.isroutine(part)
    return None if plain else part


class _Registry:
    """The lanes of foreign connections. A lane ends when the last object that stands for its connection is gone."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._lanes: dict[Hashable, tuple[Lane, set[int]]] = {}

    def lane_of(self, owner: object) -> Lane:
        if isinstance(owner, Lane):
            return owner
        key = key_of(owner)
        with self._lock:
            known = self._lanes.get(key)
            if known is None or known[0].closed:
                known = self._lanes[key] = (Lane(_name_of(owner)), set())
            lane, owners = known
            if id(owner) not in owners:
                owners.add(id(owner))
                self._end_with(owner, key, known)
            return lane

    def _end_with(self, owner: object, key: Hashable, known: tuple[Lane, set[int]]) -> None:
        try:
            ending = weakref.finalize(owner, self._gone, key, known, id(owner))
        except TypeError:  # what cannot be watched is kept, so that its lane stays its own
            _kept.append(owner)
        else:
            ending.atexit = False

    def _gone(self, key: Hashable, known: tuple[Lane, set[int]], owner: int) -> None:
        """Forget an owner. The garbage collector may call this anywhere, so it waits for no lock and no thread."""
        lane, owners = known
        owners.discard(owner)
        if not owners:
            if self._lanes.get(key) is known:
                self._lanes.pop(key, None)
            lane.retire()


_kept: list[object] = []
_registry = _Registry()


def lane_of(owner: object) -> Lane:
    """Return the one lane of the connection `owner`; a labnb instrument's is its own."""
    return _registry.lane_of(owner)


def permit(thing: object, check: Callable[[], None] | None) -> None:
    """Have `check` called before each exchange with `thing`, an instrument of whatever driver; what it raises forbids it.

    Of other people's drivers that is what goes through channels; what you call yourself does not ask. None: allow all.
    """
    lane_of(connection_of(thing)).permit = check


def key_of(owner: object) -> Hashable:
    """Return what tells connections apart: a lane, or the address of PyVISA resources that are open at one."""
    if owner is None or isinstance(owner, Lane):
        return owner
    library, address = _part(owner, "visalib"), _address_of(owner)
    return id(owner) if library is None or not address else (id(library), address.upper())


def _name_of(owner: object) -> str:
    return _address_of(owner) or type(owner).__name__


def _address_of(owner: object) -> str:
    try:
        inspect.getattr_static(owner, "resource_name")
        return str(cast("object", owner.resource_name))  # pyright: ignore[reportAttributeAccessIssue]  asked for above
    except Exception:  # noqa: BLE001  no PyVISA resource, or one that is closed
        return ""
