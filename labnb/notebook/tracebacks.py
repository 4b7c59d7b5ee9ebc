"""How an error is shown in a notebook: from the user's own line on."""

from types import TracebackType

from IPython.core.interactiveshell import InteractiveShell

from labnb.core import LabnbError, PlanError


class CellRefused(PlanError):
    """A body that cannot be a measurement, shown at its own line.

    Not a SyntaxError: of those IPython shows all that led there.
    """


def shown_from(error: Exception, filename: str, shell: InteractiveShell) -> Exception:
    """Return `error`, shown by IPython from the user's own line on, without the frames that lead there.

    Of an error that labnb raises on purpose its own frames below are left out too: what is wrong is in the cell.
    """
    if isinstance(error, SyntaxError):
        return _shown_at_its_line(error, shell)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != filename:
        trace = trace.tb_next
    if isinstance(error, LabnbError):
        trace = _without_ours(trace)

    def render() -> list[str]:
        if trace is None:
            return ["\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])]
        return shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)

    if trace is not None or isinstance(error, LabnbError):
        error._render_traceback_ = render  # pyright: ignore[reportAttributeAccessIssue]  IPython's protocol
    return error


def _shown_at_its_line(error: SyntaxError, shell: InteractiveShell) -> CellRefused:
    where = "" if error.lineno is None else f"line {error.lineno} of the cell: "
    said = error.msg or error.args[0]
    refused = CellRefused(f"{where}{said}")
    refused.__cause__ = error

    def render() -> list[str]:
        if error.lineno is None:
            return [f"{type(error).__name__}: {said}"]
        return shell.SyntaxTB.structured_traceback(type(error), error)

    refused._render_traceback_ = render  # pyright: ignore[reportAttributeAccessIssue]  IPython's protocol
    return refused


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return `trace` up to the last frame that is not labnb's."""
    frames = list[TracebackType]()
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    while frames and frames[-1].tb_frame.f_globals.get("__name__", "").partition(".")[0] != "__main__":
        frames.pop()
    for frame in reversed(frames):
        trace = TracebackType(trace, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return trace


def register_source(shell: InteractiveShell, line: str, cell: str, magic: str = "measure") -> tuple[str, str]:
    """Make the cell's text known to tracebacks; return its file name there and the body as plain Python."""
    source = shell.transform_cell(cell)
    text = f"# %%{magic} {line}\n{source}"  # a comment: what shows tracebacks parses it
    return shell.compile.cache(text, shell.execution_count - 1, raw_code=text), source
