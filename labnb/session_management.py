"""Reserve driver sessions by the pins that they are wired to, with the names that such programs know.

`ni_measurementlink_service.session_management` has the same public names, and a program for it runs with this module
instead; the asynchronous ones are added. The service is `labnb serve`.
"""

import warnings

from labnb.sharing.session_client import (
    GRPC_SERVICE_CLASS,
    GRPC_SERVICE_INTERFACE_NAME,
    INSTRUMENT_TYPE_NI_DAQMX,
    INSTRUMENT_TYPE_NI_DCPOWER,
    INSTRUMENT_TYPE_NI_DIGITAL_PATTERN,
    INSTRUMENT_TYPE_NI_DMM,
    INSTRUMENT_TYPE_NI_FGEN,
    INSTRUMENT_TYPE_NI_HSDIO,
    INSTRUMENT_TYPE_NI_MODEL_BASED_INSTRUMENT,
    INSTRUMENT_TYPE_NI_RELAY_DRIVER,
    INSTRUMENT_TYPE_NI_RFMX,
    INSTRUMENT_TYPE_NI_RFPM,
    INSTRUMENT_TYPE_NI_RFSA,
    INSTRUMENT_TYPE_NI_RFSG,
    INSTRUMENT_TYPE_NI_SCOPE,
    INSTRUMENT_TYPE_NI_SWITCH_EXECUTIVE_VIRTUAL_DEVICE,
    INSTRUMENT_TYPE_NONE,
    AsyncBaseReservation,
    AsyncMultiSessionReservation,
    AsyncSessionManagementClient,
    AsyncSingleSessionReservation,
    BaseReservation,
    ChannelMapping,
    Client,
    MultiSessionReservation,
    PinMapContext,
    SessionInformation,
    SessionManagementClient,
    SingleSessionReservation,
)

__all__ = [
    "GRPC_SERVICE_CLASS",
    "GRPC_SERVICE_INTERFACE_NAME",
    "INSTRUMENT_TYPE_NI_DAQMX",
    "INSTRUMENT_TYPE_NI_DCPOWER",
    "INSTRUMENT_TYPE_NI_DIGITAL_PATTERN",
    "INSTRUMENT_TYPE_NI_DMM",
    "INSTRUMENT_TYPE_NI_FGEN",
    "INSTRUMENT_TYPE_NI_HSDIO",
    "INSTRUMENT_TYPE_NI_MODEL_BASED_INSTRUMENT",
    "INSTRUMENT_TYPE_NI_RELAY_DRIVER",
    "INSTRUMENT_TYPE_NI_RFMX",
    "INSTRUMENT_TYPE_NI_RFPM",
    "INSTRUMENT_TYPE_NI_RFSA",
    "INSTRUMENT_TYPE_NI_RFSG",
    "INSTRUMENT_TYPE_NI_SCOPE",
    "INSTRUMENT_TYPE_NI_SWITCH_EXECUTIVE_VIRTUAL_DEVICE",
    "INSTRUMENT_TYPE_NONE",
    "AsyncBaseReservation",
    "AsyncMultiSessionReservation",
    "AsyncSessionManagementClient",
    "AsyncSingleSessionReservation",
    "BaseReservation",
    "ChannelMapping",
    "Client",
    "MultiSessionReservation",
    "PinMapContext",
    "SessionInformation",
    "SessionManagementClient",
    "SingleSessionReservation",
]


def __getattr__(name: str) -> object:
    if name == "Reservation":
        warnings.warn("Reservation is an old name; use MultiSessionReservation", DeprecationWarning, stacklevel=2)
        return MultiSessionReservation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
