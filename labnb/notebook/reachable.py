"""What a body can reach by the names that it uses: that is made safe when its run ends."""

import ast
import sysconfig
import types
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import cast

from labnb.instruments import Channel, Device, Instrument, Meta, connection_of, device_of


def used_parts(body: ast.AST, wanted: tuple[str, ...], names: Mapping[str, object]) -> dict[str, object]:
    """Return what a body uses of the notebook's `names`, by how it is written there.

    Of a bench, or of a mapping or object that holds instruments, that is only what the body takes from it:
    `bench.oven` leaves the bench's other instruments to other runs. What is used otherwise is used whole.
    """
    found = dict[str, object]()
    taken = {name: _taken(body, name) for name in wanted if name in names}
    for name, parts in taken.items():
        value = names[name]
        held = {f"{name}{written}": _part(value, key) for written, key in parts.items()}
        narrow = held and all(isinstance(part, Instrument | Channel) for part in held.values())
        found |= held if narrow and not isinstance(value, Instrument | Channel) else {name: value}
    return found


def _taken(body: ast.AST, name: str) -> dict[str, object]:
    """Return the attributes and constant keys that are taken from `name`; nothing if it is used in another way too."""
    parts, uses = dict[str, object](), 0
    for node in ast.walk(body):
        match node:
            case ast.Attribute(value=ast.Name(id=found), attr=attribute) if found == name:
                parts[f".{attribute}"], uses = attribute, uses - 1
            case ast.Subscript(value=ast.Name(id=found), slice=ast.Constant(value=key)) if found == name:
                parts[f"[{key!r}]"], uses = (key,), uses - 1
            case ast.Name(id=found) if found == name:
                uses += 1
            case _:
                pass
    return {} if uses else parts


def _part(holder: object, key: object) -> object:
    """Return what `holder.key`, or with `(key,)` what `holder[key]` is, if that can be known without running code."""
    if isinstance(key, tuple):
        (place,) = cast("tuple[object]", key)
        return cast("dict[object, object]", holder).get(place) if type(holder) is dict else None
    name = str(key)
    if type(holder).__module__.partition(".")[0] == "labnb":  # a bench: it connects what is used
        return getattr(holder, name, None)
    return getattr(holder, "__dict__", {}).get(name)


def find_instruments(wanted: tuple[str, ...], names: Mapping[str, object]) -> Iterator[Instrument]:
    """Yield the instruments that a body can reach by the names it uses, whatever they are held in.

    It looks into functions, methods, containers and objects of the notebook's own, a few steps deep: what is not found
    is made safe once it is used.
    """
    yield from (found for found in _reachable(wanted, names) if isinstance(found, Instrument))


def find_channels(wanted: tuple[str, ...], names: Mapping[str, object]) -> Iterator[Channel]:
    """Yield the channels that a body can reach, like `find_instruments`."""
    yield from (found for found in _reachable(wanted, names) if isinstance(found, Channel))


def _reachable(wanted: tuple[str, ...], names: Mapping[str, object]) -> Iterator[Instrument | Channel]:
    seen = set[int]()
    waiting = deque((names[name], 0) for name in wanted if name in names)
    while waiting and len(seen) < _MOST_OBJECTS:
        value, depth = waiting.popleft()
        if id(value) in seen or isinstance(value, _PLAIN):
            continue
        seen.add(id(value))
        if isinstance(value, Instrument | Channel):
            yield value
        if depth < _DEPTH and (isinstance(value, Meta) or not isinstance(value, Instrument)):
            waiting.extend((inner, depth + 1) for inner in _held_by(value))


_MOST_OBJECTS, _MOST_ITEMS, _DEPTH = 10_000, 100, 6
_PLAIN = (str, bytes, bool, int, float, complex, type(None), types.ModuleType, types.BuiltinFunctionType)


def _held_by(value: object) -> Iterator[object]:
    """Yield what `value` refers to and may use when it is used."""
    if isinstance(value, types.FunctionType):
        yield from _used_by(value)
    elif isinstance(value, types.MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, partial):
        call = cast("partial[object]", value)
        yield from (call.func, *call.args, *call.keywords.values())
    elif isinstance(value, dict | types.MappingProxyType):
        yield from islice(tuple(cast("dict[object, object]", value).values()), _MOST_ITEMS)
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from islice(cast("list[object]", value), _MOST_ITEMS)
    else:
        yield from _parts_of(value)


def _parts_of(value: object) -> Iterator[object]:
    """Yield the attributes of an object, and the methods of a class that was written in the notebook."""
    yield from islice(tuple(cast("dict[str, object]", getattr(value, "__dict__", {})).values()), _MOST_ITEMS)
    kind = value if isinstance(value, type) else type(value)
    for base in kind.__mro__:
        slots: object = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else cast("tuple[str, ...]", slots):
            yield getattr(value, slot, None)
        if base.__module__ == "__main__":
            yield from islice(tuple(base.__dict__.values()), _MOST_ITEMS)


def _used_by(function: types.FunctionType) -> Iterator[object]:
    if not _is_installed(function):  # a library's globals are not the body's business
        for name in _names_in(function.__code__):
            if name in function.__globals__:
                yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()


def _is_installed(function: types.FunctionType) -> bool:
    file: object = function.__globals__.get("__file__")
    return str(function.__module__).partition(".")[0] == "labnb" or (
        isinstance(file, str) and file.startswith(tuple(sysconfig.get_paths().values()))
    )


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names that a function uses, also in functions and comprehensions inside of it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


def find_devices(wanted: tuple[str, ...], names: Mapping[str, object]) -> Iterator[Device]:
    """Yield the instruments of other people's drivers that have one of the names that the body uses."""
    for name in wanted:
        value = names.get(name)
        if isinstance(value, _PLAIN) or type(value).__module__.partition(".")[0] in ("builtins", "labnb"):
            continue
        if hasattr(value, "snapshot_base") or connection_of(value) is not value:
            found = device_of(value)
            if found is not None:
                yield found
