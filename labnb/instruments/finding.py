"""Where on a simulated bench of one's own is an instrument of a model? The bench file says the addresses, not we."""

from collections.abc import Mapping

from labnb.core import InstrumentError, LinkError
from labnb.instruments.instrument import Identity, Instrument
from labnb.instruments.visa import open_visa, seen_addresses


def find_model(model: str, library: str, live: Mapping[str, Instrument], *, usual: str) -> str:
    """Return the address at which `model` answers to `*IDN?` on `library`; the `usual` one, unasked, if there is one.

    `live` are the instruments that are connected already, by address in capitals: they are not asked again, as that
    would cut into what they are saying. Raises InstrumentError unless there is exactly one.
    """
    addresses = seen_addresses(library)
    if usual in addresses:
        return usual
    models = {address: _model_at(address, library, live.get(address.upper())) for address in addresses}
    found = [address for address, each in models.items() if each == model]
    if len(found) == 1:
        return found[0]
    if found:
        raise InstrumentError(f"{library!r} has {len(found)} of {model!r}; say which: address={' or '.join(found)}")
    there = ", ".join(f"{each} at {address}" for address, each in models.items()) or "no instrument"
    raise InstrumentError(f"{library!r} has no {model!r}; it has {there}")


def _model_at(address: str, library: str, known: Instrument | None) -> str:
    if known is not None:
        return known.identity.model
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
