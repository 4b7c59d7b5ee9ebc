"""Instruments: what they can do, over one lane per connection. PyVISA is loaded when something is connected."""

from labnb.instruments.action import Action
from labnb.instruments.arrays import Arrays
from labnb.instruments.beside import beside
from labnb.instruments.channel import Channel, channel, is_channel
from labnb.instruments.connect import (
    DemoBench,
    connect,
    connect_async,
    demo,
    disconnect,
    live_devices,
    live_instruments,
    locate,
)
from labnb.instruments.connections import connection_of, permit
from labnb.instruments.devices import Device, device_of
from labnb.instruments.drivers import (
    ElectronicLoad,
    Generator,
    GeneratorChannel,
    Measured,
    Multimeter,
    Oscilloscope,
    PowerSupply,
    ScopeChannel,
    Screenshot,
    SourceMeter,
    SupplyChannel,
    TemperatureController,
    Wave,
)
from labnb.instruments.facet import Facet
from labnb.instruments.guard import Setting
from labnb.instruments.instrument import Identity, Instrument
from labnb.instruments.lane import Lane
from labnb.instruments.limits import Bounds
from labnb.instruments.link import Link, RawLink
from labnb.instruments.meta import MembersFailed, Meta, group, scaled, through
from labnb.instruments.parameter import Parameter, Switch
from labnb.instruments.policy import LinkPolicy
from labnb.instruments.quantity import Quantity, Relay
from labnb.instruments.reading import Reading
from labnb.instruments.steady import SteadyLink
from labnb.instruments.touch import Touched, Watch, watching
from labnb.instruments.validators import Anything, Bool, Enum, Ints, Numbers, Strings, Validator
from labnb.instruments.visa import VisaLink

__all__ = [
    "Action",
    "Anything",
    "Arrays",
    "Bool",
    "Bounds",
    "Channel",
    "DemoBench",
    "Device",
    "ElectronicLoad",
    "Enum",
    "Facet",
    "Generator",
    "GeneratorChannel",
    "Identity",
    "Instrument",
    "Ints",
    "Lane",
    "Link",
    "LinkPolicy",
    "Measured",
    "MembersFailed",
    "Meta",
    "Multimeter",
    "Numbers",
    "Oscilloscope",
    "Parameter",
    "PowerSupply",
    "Quantity",
    "RawLink",
    "Reading",
    "Relay",
    "ScopeChannel",
    "Screenshot",
    "Setting",
    "SourceMeter",
    "SteadyLink",
    "Strings",
    "SupplyChannel",
    "Switch",
    "TemperatureController",
    "Touched",
    "Validator",
    "VisaLink",
    "Watch",
    "Wave",
    "beside",
    "channel",
    "connect",
    "connect_async",
    "connection_of",
    "demo",
    "device_of",
    "disconnect",
    "group",
    "is_channel",
    "live_devices",
    "live_instruments",
    "locate",
    "permit",
    "scaled",
    "through",
    "watching",
]
