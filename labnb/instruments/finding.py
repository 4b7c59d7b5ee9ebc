"""Which instruments stand on a simulated bench, and where: asked through PyVISA, as of any bench.

The bench says the addresses, not we.
"""

from collections.abc import Mapping, Sequence

from labnb.core import InstrumentError, LinkError
from labnb.instruments.instrument import Identity
from labnb.instruments.visa import open_visa, seen_addresses

_seen: dict[str, dict[str, str]] = {}  # what answered where, by library and address


def find_model(models: Sequence[str], library: str, used: Mapping[str, str]) -> str:
    """Return the address at which one of `models` answers to `*IDN?` on `library`.

    `used`: models by canonical address that are connected already; these are not asked again, as that would cut into
    what they are saying. Raises InstrumentError unless there is exactly one, LinkError if the library is not there.
    """
    found = [address for address, model in models_at(library, used).items() if model in models]
    if not found:
        forget_models(library)  # one that did not answer may do so now
        found = [address for address, model in models_at(library, used).items() if model in models]
    if len(found) == 1:
        return found[0]
    name = " or ".join(map(repr, models))
    if found:
        raise InstrumentError(f"{library!r} has {len(found)} of {name}; say which: address={' or '.join(found)}")
    known = ", ".join(f"{model} at {address}" for address, model in models_at(library, used).items())
    raise InstrumentError(f"the simulated bench {library!r} has no {name}; it has {known or 'no instrument'}")


def models_at(library: str, used: Mapping[str, str]) -> dict[str, str]:
    """Return the model at each address that the VISA library sees; "?" where nothing answers. See `find_model`."""
    addresses = seen_addresses(library)
    if set(_seen.get(library, {})) != set(addresses):  # not looked yet, or changed since
        _seen[library] = {
            address: used.get(canonical(address)) or _model_at(address, library, used) for address in addresses
        }
    return _seen[library]


def forget_models(library: str) -> None:
    """Look again next time: something else than expected answered."""
    _seen.pop(library, None)


def canonical(address: str) -> str:
    """Return the one spelling of a VISA address: `gpib::12` is `GPIB0::12::INSTR`. What is none stays as it is."""
    from pyvisa.rname import InvalidResourceName, to_canonical_name

    try:
        return to_canonical_name(address.upper()).upper()
    except InvalidResourceName:
        return address.upper()


def _model_at(address: str, library: str, used: Mapping[str, str]) -> str:
    if canonical(address) in used:
        return "?"
    try:
        link = open_visa(address, library, name=address, timeout_s=2.0)
    except LinkError:
        return "?"
    try:
        return Identity.parse(link.query("*IDN?")).model
    except LinkError:
        return "?"
    finally:
        link.close()
