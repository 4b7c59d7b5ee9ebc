"""The link of an instrument that has none: it consists of Python functions."""

from typing import NoReturn

from labnb.core import LinkError


class NoLink:
    """Refuses every exchange; `name` is the instrument's, for errors."""

    def __init__(self, name: str) -> None:
        self.name = name

    def write(self, command: str) -> None:
        """Refuse."""
        self._refuse(command)

    def query(self, command: str) -> str:
        """Refuse."""
        self._refuse(command)

    def query_block(self, command: str) -> bytes:
        """Refuse."""
        self._refuse(command)

    def clear(self) -> None:
        """Do nothing: there is nothing that could be left over."""

    def close(self) -> None:
        """Do nothing."""

    def _refuse(self, command: str) -> NoReturn:
        raise LinkError(
            f"{self.name}: {command!r} cannot be sent: this instrument has no connection; make it with one, "
            "Instrument(link, name=...) or connect(address, driver=...), or use functions for get_cmd and set_cmd"
        )
