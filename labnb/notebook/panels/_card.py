"""What a panel leaves in a notebook that is read without a kernel: its words, and a picture of them with its figure."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from labnb.notebook.panels._pictures import one_by_one

if TYPE_CHECKING:
    from PIL.Image import Image

_WIDTH_IN, _DPI = 9.0, 200
_LINE_IN, _TITLE_IN, _MARGIN_IN = 0.168, 0.42, 0.12
_COLUMNS = 118  # characters of the fixed-width font side by side
_TEXT, _SOFT, _EDGE = "#212121", "#616161", "#bdbdbd"


@dataclass(frozen=True, slots=True)
class Card:
    """What a panel shows at one moment. `lines` are set in a fixed-width font; `figure`, called in a thread, gives a PNG."""

    title: str
    note: str = ""
    lines: tuple[str, ...] = ()
    figure: Callable[[], bytes] | None = None

    @property
    def text(self) -> str:
        """The same as plain text."""
        return "\n".join([" · ".join(filter(None, (self.title, self.note))), *self.lines]).rstrip()


def card_picture(card: Card) -> bytes:
    """Return the card as a PNG (2x resolution, white, with a thin frame), its figure below the words."""
    figure = card.figure() if card.figure is not None else None
    with one_by_one:
        return _framed(_words(card), figure)


def _words(card: Card) -> bytes:
    """Draw the title and the lines; what is too long goes on in the next line, indented."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [part for line in card.lines for part in _folded(line)]
    height = _TITLE_IN + _LINE_IN * len(lines) + _MARGIN_IN
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def put(
        line: str, x: float, down: float, size: float, color: str, **how: Any
    ) -> None:  # matplotlib has its own words for each
        """Write exactly what stands there: no $ begins a formula."""
        figure.text(x, 1 - down / height, line, size=size, color=color, parse_math=False, **how)

    put(card.title, 0.015, 0.26, 12, _TEXT, weight="bold", va="center")
    put(card.note, 0.985, 0.26, 7.5, _SOFT, va="center", ha="right")
    for place, line in enumerate(lines):
        put(line, 0.015, _TITLE_IN + _LINE_IN * place, 8, _TEXT, family="monospace", va="top")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": "labnb"})
    return buffer.getvalue()


def _folded(line: str) -> list[str]:
    """Return a line as lines that fit."""
    return wrap(line, _COLUMNS, subsequent_indent="    ", drop_whitespace=False, replace_whitespace=False) or [""]


def _framed(*pieces: bytes | None) -> bytes:
    """Put pictures one below the other, on white, in a thin frame."""
    from PIL import Image, ImageOps

    images = [_as_wide(Image.open(BytesIO(piece)).convert("RGBA")) for piece in pieces if piece is not None]
    sheet = Image.new("RGBA", (images[0].width, sum(each.height for each in images)), "white")
    top = 0
    for each in images:
        sheet.alpha_composite(each, (0, top))
        top += each.height
    buffer = BytesIO()
    framed = ImageOps.expand(sheet.convert("RGB"), border=2, fill=_EDGE)
    framed.quantize(128).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _as_wide(image: "Image") -> "Image":
    wide = round(_WIDTH_IN * _DPI)
    return image if image.width == wide else image.resize((wide, round(image.height * wide / image.width)))
