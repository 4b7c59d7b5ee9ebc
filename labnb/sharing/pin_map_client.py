"""The client of the pin map service: upload a pin map, by its file."""

from pathlib import Path

from labnb.core import PinMapError
from labnb.sharing.calls import procedures, translated
from labnb.sharing.messages import PIN_MAP_SERVICE, Message, pin_map_messages
from labnb.sharing.transport import grpc


class PinMapClient:
    """Uploads pin maps to the service behind `grpc_channel`."""

    def __init__(self, *, grpc_channel: grpc.Channel) -> None:
        self._procedures = procedures(grpc_channel, PIN_MAP_SERVICE)

    def update_pin_map(self, pin_map_path: str | Path) -> str:
        """Upload a pin map file, new or instead of its earlier state; return its id for `PinMapContext`.

        Raises PinMapError for a file that cannot be read, or that says what cannot be.
        """
        try:
            return self._procedures["UpdatePinMapFromXml"](_request(pin_map_path)).pin_map_id
        except grpc.RpcError as error:
            raise translated(error) from error


class AsyncPinMapClient:
    """PinMapClient for event loops."""

    def __init__(self, *, grpc_channel: "grpc.aio.Channel") -> None:
        self._procedures = procedures(grpc_channel, PIN_MAP_SERVICE)

    async def update_pin_map(self, pin_map_path: str | Path) -> str:
        """Upload a pin map file, new or instead of its earlier state; return its id for `PinMapContext`."""
        try:
            return (await self._procedures["UpdatePinMapFromXml"](_request(pin_map_path))).pin_map_id
        except grpc.RpcError as error:
            raise translated(error) from error


def _request(path: str | Path) -> Message:
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise PinMapError(f"the pin map {path} cannot be read: {error.strerror}", str(path)) from error
    except UnicodeDecodeError as error:
        raise PinMapError(f"the pin map {path} is not UTF-8: {error}; save it as UTF-8", str(path)) from error
    return pin_map_messages.UpdatePinMapFromXmlRequest(pin_map_id=str(path), pin_map_xml=text)
