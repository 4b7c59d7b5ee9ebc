"""Instruments that several kernels share: reservations, pin maps, the service that keeps them.

Names are loaded when they are used: the service and its clients need `pip install 'labnb[sharing]'`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labnb.sharing.async_reservations import AsyncHeld, AsyncReservationClient
    from labnb.sharing.finding import find_service, journal_of, published, service_folder, start_service
    from labnb.sharing.gateway_outlets import Outlet, origin, outlets
    from labnb.sharing.gateway_serving import SafeState, gateway
    from labnb.sharing.pin_map import PinMap
    from labnb.sharing.pin_map_client import AsyncPinMapClient, PinMapClient
    from labnb.sharing.pin_map_xml import read_pin_map
    from labnb.sharing.places import Place, place
    from labnb.sharing.quiet import Quiet
    from labnb.sharing.reservations import Held, ReservationClient
    from labnb.sharing.serving import serving
    from labnb.sharing.situation import Queued, Reservation, Situation, Wait
    from labnb.sharing.table import Holder

_PLACES = {
    "AsyncHeld": "async_reservations",
    "AsyncPinMapClient": "pin_map_client",
    "AsyncReservationClient": "async_reservations",
    "Held": "reservations",
    "Holder": "table",
    "Outlet": "gateway_outlets",
    "PinMap": "pin_map",
    "PinMapClient": "pin_map_client",
    "Place": "places",
    "Queued": "situation",
    "Quiet": "quiet",
    "Reservation": "situation",
    "ReservationClient": "reservations",
    "SafeState": "gateway_serving",
    "Situation": "situation",
    "Wait": "situation",
    "find_service": "finding",
    "gateway": "gateway_serving",
    "journal_of": "finding",
    "origin": "gateway_outlets",
    "outlets": "gateway_outlets",
    "place": "places",
    "published": "finding",
    "read_pin_map": "pin_map_xml",
    "service_folder": "finding",
    "serving": "serving",
    "start_service": "finding",
}

__all__ = [
    "AsyncHeld",
    "AsyncPinMapClient",
    "AsyncReservationClient",
    "Held",
    "Holder",
    "Outlet",
    "PinMap",
    "PinMapClient",
    "Place",
    "Queued",
    "Quiet",
    "Reservation",
    "ReservationClient",
    "SafeState",
    "Situation",
    "Wait",
    "find_service",
    "gateway",
    "journal_of",
    "origin",
    "outlets",
    "place",
    "published",
    "read_pin_map",
    "service_folder",
    "serving",
    "start_service",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'labnb.sharing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"labnb.sharing.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
