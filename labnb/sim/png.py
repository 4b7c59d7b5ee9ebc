"""What a screen shows, as a PNG file (ISO/IEC 15948), with a palette of a few colours."""

import struct
import zlib
from collections.abc import Sequence
from typing import final

Colour = tuple[int, int, int]


@final
class Screen:
    """`width` x `height` pixels, each a number of `palette`; all 0 at first."""

    def __init__(self, width: int, height: int, palette: Sequence[Colour]) -> None:
        self.width = width
        self.height = height
        self._palette = tuple(palette)
        self._rows = [bytearray(width) for _ in range(height)]

    def dot(self, x: int, y: int, colour: int) -> None:
        """Set a pixel; outside of the screen do nothing."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._rows[y][x] = colour

    def column(self, x: int, first: int, last: int, colour: int) -> None:
        """Set the pixels of a column from `first` to `last`."""
        for y in range(max(min(first, last), 0), min(max(first, last), self.height - 1) + 1):
            self.dot(x, y, colour)

    def encode(self) -> bytes:
        """Return the file."""
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 3, 0, 0, 0)
        colours = b"".join(bytes(colour) for colour in self._palette)
        pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in self._rows))
        chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", pixels), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
