"""What VISA tells of a resource: its attributes, and which values they take.

Names, types and ranges are PyVISA's own table (`pyvisa.attributes`); here stand the values.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pyvisa import attributes, constants, rname

from labnb.sim.port import Port

Attribute = type[attributes.Attribute[Any]]  # Any: an attribute may be anything
Kind = tuple[constants.InterfaceType, str]

NO_SECONDARY_ADDRESS = 0xFFFF
_BUFFER_BYTES = 4096
_SPECIFICATION = 0x00500800
"""VPP-4.3, version 5.8."""


def kind_of(name: rname.ResourceName) -> Kind:
    """Return interface type and resource class."""
    return name.interface_type_const, name.resource_class


def known_attribute(attribute: int, kind: Kind) -> Attribute | None:
    """Return what PyVISA knows of an attribute of a kind of resource; None if there is no such attribute."""
    known = attributes.AttributesByID.get(attribute)
    return known if known is not None and known.in_resource(kind) else None


def package_version() -> str:
    """Return the version of labnb that is installed, `unknown` if it runs without having been."""
    try:
        return version("labnb")
    except PackageNotFoundError:
        return "unknown"


def fixed_attributes(name: rname.ResourceName, port: Port) -> dict[int, object]:
    """Return the attributes that follow from a resource's name and from who is there."""
    known: dict[int, object] = {
        constants.VI_ATTR_RSRC_NAME: str(name),
        constants.VI_ATTR_RSRC_CLASS: name.resource_class,
        constants.VI_ATTR_INTF_TYPE: name.interface_type_const,
        constants.VI_ATTR_INTF_NUM: _number(_part(name, "board")),
        constants.VI_ATTR_INTF_INST_NAME: f"{name.interface_type}{_part(name, 'board')} (labnb, simulated)",
        constants.VI_ATTR_RSRC_MANF_NAME: "labnb",
        constants.VI_ATTR_RSRC_MANF_ID: 0,
        constants.VI_ATTR_RSRC_IMPL_VERSION: _packed(package_version()),
        constants.VI_ATTR_RSRC_SPEC_VERSION: _SPECIFICATION,
        constants.VI_ATTR_RD_BUF_SIZE: _BUFFER_BYTES,
        constants.VI_ATTR_WR_BUF_SIZE: _BUFFER_BYTES,
        constants.VI_ATTR_DMA_ALLOW_EN: False,
    }
    more = _OF_INTERFACE.get(name.interface_type)
    return known | more(name, port) if more else known


def _usb(name: rname.ResourceName, port: Port) -> dict[int, object]:
    manufacturer, model = [*port.instrument.identity.split(","), "", ""][:2]
    return {
        constants.VI_ATTR_MANF_ID: _number(_part(name, "manufacturer_id")),
        constants.VI_ATTR_MANF_NAME: manufacturer,
        constants.VI_ATTR_MODEL_CODE: _number(_part(name, "model_code")),
        constants.VI_ATTR_MODEL_NAME: model,
        constants.VI_ATTR_USB_SERIAL_NUM: _part(name, "serial_number"),
        constants.VI_ATTR_USB_INTFC_NUM: _number(_part(name, "usb_interface_number")),
        constants.VI_ATTR_USB_PROTOCOL: 1,  # USB488
        constants.VI_ATTR_USB_MAX_INTR_SIZE: 2,
        constants.VI_ATTR_4882_COMPLIANT: True,
    }


def _tcpip(name: rname.ResourceName, port: Port) -> dict[int, object]:
    known: dict[int, object] = {
        constants.VI_ATTR_TCPIP_ADDR: _part(name, "host_address"),
        constants.VI_ATTR_TCPIP_HOSTNAME: "",
    }
    if name.resource_class == "SOCKET":
        return known | {constants.VI_ATTR_TCPIP_PORT: _number(_part(name, "port"))}
    return known | {
        constants.VI_ATTR_TCPIP_DEVICE_NAME: _part(name, "lan_device_name"),
        constants.VI_ATTR_TCPIP_IS_HISLIP: False,
    }


def _gpib(name: rname.ResourceName, port: Port) -> dict[int, object]:
    secondary = _part(name, "secondary_address")
    return {
        constants.VI_ATTR_GPIB_PRIMARY_ADDR: _number(_part(name, "primary_address")),
        constants.VI_ATTR_GPIB_SECONDARY_ADDR: _number(secondary) if secondary else NO_SECONDARY_ADDRESS,
        constants.VI_ATTR_GPIB_REN_STATE: constants.LineState.asserted,
    }


def _serial(name: rname.ResourceName, port: Port) -> dict[int, object]:
    return {constants.VI_ATTR_ASRL_CONNECTED: True}


_OF_INTERFACE = {"USB": _usb, "TCPIP": _tcpip, "GPIB": _gpib, "ASRL": _serial}


def _part(name: rname.ResourceName, field: str) -> str:
    return str(getattr(name, field, None) or "")


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0


def _packed(text: str) -> int:
    """Return a version as VISA packs it: 12 bits major, 12 bits minor, 8 bits below."""
    major, minor, below = [*(_number(part) for part in text.split(".")), 0, 0, 0][:3]
    return (major & 0xFFF) << 20 | (minor & 0xFFF) << 8 | (below & 0xFF)


def takes(known: Attribute, value: object) -> bool:
    """Return whether an attribute can have `value`."""
    if not isinstance(value, int):
        return not issubclass(known, _INTEGERS)
    if issubclass(known, attributes.BooleanAttribute):
        return value in (0, 1)
    if issubclass(known, attributes.CharAttribute):
        return 0 <= value <= 0xFF
    if issubclass(known, attributes.RangeAttribute):
        return known.min_value <= value <= known.max_value or value in (known.values or ())
    if issubclass(known, attributes.EnumAttribute):
        return value in {int(member) for member in known.enum_type}
    return True


_INTEGERS = (
    attributes.BooleanAttribute,
    attributes.CharAttribute,
    attributes.EnumAttribute,
    attributes.FlagAttribute,
    attributes.IntAttribute,
)


def default_of(known: Attribute, fixed: Mapping[int, object]) -> object:
    """Return the value of an attribute that nobody has set; `NotAvailable` if it has none here."""
    return fixed.get(known.attribute_id, known.default)
