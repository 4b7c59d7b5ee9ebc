"""The discovery service: which service is where. It knows those of its own port, and keeps what others register."""

from collections.abc import Iterator
from itertools import count

from labnb.core import ReservationError
from labnb.sharing.messages import (
    DISCOVERY_SERVICE,
    PIN_MAP_SERVICE,
    SESSION_SERVICE,
    SHARING_SERVICE,
    Message,
    discovery_messages,
)
from labnb.sharing.session_service import InvalidRequest


class NoSuchService(ReservationError):
    """Nobody provides the interface that is asked for."""


class AmbiguousService(ReservationError):
    """Several provide the interface that is asked for, and no class says which is meant."""


class DiscoveryService:
    """Services by what they provide."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._registered: dict[str, Message] = {}

    def announce(self, port: int) -> None:
        """Register the services of this port."""
        for interface in (SESSION_SERVICE, PIN_MAP_SERVICE, DISCOVERY_SERVICE, SHARING_SERVICE):
            request = discovery_messages.RegisterServiceRequest()
            request.service_description.display_name = f"labnb {interface.rpartition('.')[2]}"
            request.service_description.service_class = interface
            request.service_description.provided_interfaces.append(interface)
            request.location.location, request.location.insecure_port = "localhost", str(port)
            self._registered[f"labnb-{interface}"] = request

    async def register_service(self, request: Message, peer: str) -> Message:
        """Keep where a service is."""
        description, location = request.service_description, request.location
        needed = {
            "display_name": description.display_name,
            "service_class": description.service_class,
            "provided_interfaces": description.provided_interfaces,
            "location": location.location,
            "insecure_port or ssl_authenticated_port": location.insecure_port or location.ssl_authenticated_port,
        }
        missing = [name for name, value in needed.items() if not value]
        if missing:
            raise InvalidRequest(f"a service cannot be registered without {', '.join(missing)}")
        number = str(next(self._numbers))
        self._registered[number] = request
        return discovery_messages.RegisterServiceResponse(registration_id=number)

    async def unregister_service(self, request: Message, peer: str) -> Message:
        """Forget a service."""
        if self._registered.pop(request.registration_id, None) is None:
            raise NoSuchService(f"no service is registered as {request.registration_id!r}")
        return discovery_messages.UnregisterServiceResponse()

    async def enumerate_services(self, request: Message, peer: str) -> Message:
        """List the services that provide an interface; all if none is given."""
        found = self._found(request.provided_interface, request.service_class)
        return discovery_messages.EnumerateServicesResponse(
            available_services=[each.service_description for each in found]
        )

    async def enumerate_active_services(self, request: Message, peer: str) -> Message:
        """List the services that provide an interface, and where they are."""
        response = discovery_messages.EnumerateActiveServicesResponse()
        for each in self._found(request.provided_interface, request.service_class):
            response.active_services.add(service_descriptor=each.service_description, service_location=each.location)
        return response

    async def resolve_service(self, request: Message, peer: str) -> Message:
        """Tell where a service is."""
        return self._resolved(request).location

    async def resolve_service_with_information(self, request: Message, peer: str) -> Message:
        """Tell where a service is, and what it is."""
        found = self._resolved(request)
        return discovery_messages.ResolveServiceWithInformationResponse(
            service_location=found.location, service_descriptor=found.service_description
        )

    def _found(self, interface: str, service_class: str) -> Iterator[Message]:
        for each in self._registered.values():
            description = each.service_description
            if (not interface or interface in description.provided_interfaces) and service_class in (
                "",
                description.service_class,
            ):
                yield each

    def _resolved(self, request: Message) -> Message:
        if not request.provided_interface:
            raise InvalidRequest("provided_interface is empty; say which service is looked for")
        found = [
            each
            for each in self._found(request.provided_interface, request.service_class)
            if not request.version or request.version in each.service_description.versions
        ]
        if not found:
            wanted = " ".join(filter(None, (request.provided_interface, request.service_class, request.version)))
            raise NoSuchService(f"no service provides {wanted}")
        classes = sorted({each.service_description.service_class for each in found})
        if len(classes) > 1:
            raise AmbiguousService(f"{request.provided_interface} is provided by {', '.join(classes)}; name one")
        return found[-1]
