"""A run on disk, as people hold it: what it was, its data, and what they think of it."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.core import Json, PlanError, RecordError, State, SystemClock
from labnb.record._explorers import explore
from labnb.record.files import reason
from labnb.record.folder import write_note
from labnb.record.runfile import RunFile, stamp

if TYPE_CHECKING:
    import os

    import xarray as xr

    from labnb.record.publishing import Publication

_TAG_LENGTH = 100


@dataclass(frozen=True, repr=False)
class StoredRun:
    """A run on disk: what it was, how it ended, and its data.

    Tags and notes may change at any time; they are read from `run.json` whenever they are asked for.
    """

    path: Path
    run_id: str
    name: str
    state: State
    metadata: Mapping[str, Json]
    points: int

    @cached_property
    def data(self) -> "xr.Dataset":
        """The recorded variables over their axes; in memory if they are small, else read when used.

        A run whose process died is completed from its journal first. Raises RecordError if it cannot be read.
        """
        from labnb.record.opening import load  # it makes StoredRuns, so it is above

        return load(self.path)

    @property
    def created(self) -> datetime:
        """When it began, in UTC."""
        return self._file().created

    @property
    def ended(self) -> datetime | None:
        """When it ended, in UTC; None if it goes on or its process died."""
        return self._file().ended

    @property
    def tags(self) -> tuple[str, ...]:
        """The words that it is marked with, sorted."""
        return self._file().tags

    @property
    def notes(self) -> tuple[tuple[datetime, str], ...]:
        """What was written about it, with the time, oldest first."""
        return self._file().notes

    def tag(self, *tags: str) -> "StoredRun":
        """Mark it with words that it can be found by; return it. The data are not touched.

        Raises PlanError for a tag that is no text of 1 to 100 characters, RecordError if it cannot be written.
        """
        checked = [check_tag(tag) for tag in tags]
        self._change(lambda run: {"tags": [*sorted({*run.tags, *checked})]}, "tag", ", ".join(checked))
        return self

    def untag(self, *tags: str) -> "StoredRun":
        """Take marks away; return it. Raises PlanError for a tag that it does not have, RecordError."""

        def without(run: RunFile) -> Mapping[str, Json]:
            if missing := sorted({*tags} - {*run.tags}):
                has = ", ".join(run.tags) or "none"
                raise PlanError(f"run {self.run_id} has no tag {missing[0]!r}; its tags: {has}")
            return {"tags": [tag for tag in run.tags if tag not in tags]}

        self._change(without, "untag", ", ".join(tags))
        return self

    def note(self, text: str) -> "StoredRun":
        """Write something about it, with the present time; return it. Raises PlanError if there is no text, RecordError."""
        if not text.strip():
            raise PlanError(f"run {self.run_id}: an empty note; expected some text")
        entry: dict[str, Json] = {"time": stamp(SystemClock.time_ns()), "text": text.strip()}

        def added(run: RunFile) -> Mapping[str, Json]:
            return {"notes": [*({"time": when.isoformat(), "text": said} for when, said in run.notes), entry]}

        self._change(added, "note", text.strip())
        return self

    def explore(self, *others: "StoredRun", plot: Sequence[str] | None = None) -> object:
        """Show it in the notebook: zoom, read values under the cursor, slice a map, choose what is drawn.

        `others` are drawn over it, where they have measured the same; `plot=("x", "y")` asks for a figure as
        `--plot x,y` does. Raises PlanError for names that are not there, LabnbError outside of a notebook.
        """
        return explore(self, others, plot)

    def export(
        self, path: "str | os.PathLike[str]", *, to: str | None = None, overwrite: bool = False
    ) -> tuple[Path, ...]:
        """Write its data for other programs; return the files. See `labnb.export`."""
        from labnb.record.exporting import export  # it takes StoredRuns, so it is above

        return export(self, path, to=to, overwrite=overwrite)

    def publish(
        self, url: str, *, progress: "Callable[[int, int], None] | None" = None, **options: object
    ) -> "Publication":
        """Send it below `url` (s3://…, gs://…, az://…, file://…, icechunk+s3://…). See `labnb.record.publish`."""
        from labnb.record.publishing import publish  # it opens runs, so it is above

        return publish(self, url, progress=progress, **options)

    async def publish_async(
        self, url: str, *, progress: "Callable[[int, int], None] | None" = None, **options: object
    ) -> "Publication":
        """Send it below `url` while this loop goes on. See `labnb.record.publish`."""
        from labnb.record.publishing import publish_async  # as above

        return await publish_async(self, url, progress=progress, **options)

    def _file(self) -> RunFile:
        return RunFile.read(self.path / "run.json")

    def _change(self, change: Callable[[RunFile], Mapping[str, Json]], kind: str, text: str) -> None:
        try:
            RunFile.edit(self.path / "run.json", change)
            write_note(self.path, SystemClock.time_ns(), kind, text, {})
        except OSError as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(
                f"run {self.run_id}: {kind} not written to {self.path}: {reason(error)}; nothing was changed"
            ) from error

    def __repr__(self) -> str:
        return f"<StoredRun {self.run_id}: {self.state}, {self.points} points, {self.path}>"

    def _repr_html_(self) -> str:
        lines = [f"<b>{html.escape(self.run_id)}</b> {self.state}, {self.points} points"]
        try:
            run = self._file()
        except RecordError as error:
            return f"{lines[0]}<br>{html.escape(str(error))}"
        lines[0] += f", {run.created.astimezone():%Y-%m-%d %H:%M:%S}"
        if run.tags:
            lines.append("tags: " + html.escape(", ".join(run.tags)))
        lines += [f"{when.astimezone():%Y-%m-%d %H:%M}: {html.escape(text)}" for when, text in run.notes]
        lines.append(f"<code>{html.escape(str(self.path))}</code>")
        return "<br>".join(lines)


def check_tag(tag: object) -> str:
    """Return `tag` as it is kept. Raises PlanError if it cannot be one."""
    text = tag.strip() if isinstance(tag, str) else ""
    if not text or len(text) > _TAG_LENGTH or not text.isprintable():
        raise PlanError(f"{tag!r} cannot be a tag; expected a text of 1 to {_TAG_LENGTH} characters in one line")
    return text
