"""A bench as a YAML file describes it: its instruments connected, limited, and made safe at the end."""

import asyncio
import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, final

from labnb.core import InstrumentError, LabnbError, ReservationLost, to_jsonable
from labnb.instruments import Instrument, beside, connect_async
from labnb.session._active import close_all, end_users, held, make_all_safe, telling
from labnb.session._blocking import run_blocking
from labnb.session.reserving import Patience, Reserving, resource_of

if TYPE_CHECKING:
    from labnb.session._bench_file import Command, Described, Entry


@final
class Bench:
    """The instruments of a bench file, by name: `bench.psu`, `bench["psu"]`.

    ```python
    async with await Bench.open("bench.yaml") as bench:
        async with Measurement(bench=bench) as session:
            ...
    ```
    In a script `with Bench.open("bench.yaml") as bench:`. Leaving runs the commands after the experiment, makes all
    instruments safe and closes those that were connected for the bench.
    """

    def __init__(self, described: "Described") -> None:
        self._described = described
        self._instruments: dict[str, Any] = {}  # Any: drivers of any kind
        self._owned: dict[str, object] = {}
        self._reserving = Reserving()
        self._closed = False

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, simulate: bool | None = None, reserve: Patience | None = None
    ) -> "Opening":
        """Open the bench that the YAML file at `path` describes: `await` it, or use it by `async with` or `with`.

        `simulate` and `reserve` override what the file says for the whole bench. `reserve=True` reserves all of its
        instruments at once, before they are connected, and queues for them (a number: for so many s at most), showing who
        has them; the bench gives them back when it is closed. If they are taken away, the next exchange raises
        ReservationLost. The whole file is checked first: BenchFileError tells
        every mistake with its line, and nothing is connected. Connecting changes no output; then the commands of
        `automation: pre_experiment` are done. Raises LinkError if an instrument does not answer, InstrumentError if one
        refuses; those that were connected are closed then.
        """
        return Opening(Path(path), simulate, reserve)

    @classmethod
    def places(cls, path: str | os.PathLike[str], *, simulate: bool | None = None) -> dict[str, tuple[str, str]]:
        """Return by name the address and VISA library of each instrument of a bench file, which is not opened."""
        from labnb.session._bench_file import read_bench  # pydantic, when needed

        bench = cls(read_bench(Path(path)))
        entries = bench._described.file.instruments
        return {alias: (entry.address, bench._library(entry, simulate)) for alias, entry in entries.items()}

    @property
    def name(self) -> str:
        """What the file calls it; else the file's name."""
        return self._described.file.bench_name or self.path.stem

    @property
    def path(self) -> Path:
        """Its file."""
        return self._described.path

    @property
    def instruments(self) -> Mapping[str, Any]:
        """The connected instruments by name."""
        return MappingProxyType(self._instruments)

    def describe(self) -> dict[str, object]:
        """Return what is kept with the data of its runs: name, file, experiment and traceability."""
        file = self._described.file
        return {
            "name": self.name,
            "file": str(self.path),
            "experiment": file.experiment.model_dump(),
            "traceability": to_jsonable(file.traceability.model_dump()),
        }

    def __getattr__(self, name: str) -> Any:
        instruments = self.__dict__.get("_instruments", {})
        if name in instruments:
            return instruments[name]
        raise AttributeError(f"this bench has no instrument {name!r}; it has {', '.join(instruments) or 'none'}")

    def __getitem__(self, name: str) -> Any:
        try:
            return self._instruments[name]
        except KeyError:
            raise KeyError(f"this bench has no instrument {name!r}; it has {', '.join(self._instruments)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._instruments)

    def __len__(self) -> int:
        return len(self._instruments)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._instruments])

    # ---- opening and closing

    async def connect(self, simulate: bool | None, reserve: Patience | None = None) -> None:
        """Reserve and connect all instruments at the same time, then do what comes before the experiment."""
        file = self._described.file
        resources = await self._reserve(simulate, file.reserve if reserve is None else reserve)
        before = held()
        wanted = {alias: self._connect(alias, entry, simulate) for alias, entry in file.instruments.items()}
        found = await asyncio.gather(*wanted.values(), return_exceptions=True)
        failures = list[BaseException]()
        for alias, result in zip(wanted, found, strict=True):
            if isinstance(result, BaseException):
                failures.append(result)
                continue
            self._instruments[alias] = result
            if resources:
                self._reserving.guard(result, resources[alias])
            if id(result) not in before:
                self._owned[alias] = result
        if failures:
            _tell_together(failures)
        for command in self._described.before:
            await self._do(command)

    async def _reserve(self, simulate: bool | None, patience: Patience) -> dict[str, str]:
        """Reserve all instruments at once; return by alias what was reserved."""
        if patience is False:
            return {}
        entries = self._described.file.instruments
        resources = {
            alias: resource_of(entry.address, visa_library=self._library(entry, simulate))
            for alias, entry in entries.items()
        }
        await self._reserving.take(list(resources.values()), patience)
        return resources

    def _library(self, entry: "Entry", simulate: bool | None) -> str:
        return f"{self.path.absolute()}@labnb" if self._is_simulated(entry, simulate) else ""

    async def _connect(self, alias: str, entry: "Entry", simulate: bool | None) -> Any:
        options: dict[str, Any] = {"address": entry.address, "name": alias}
        if entry.safety_limits is not None:
            options["limits"] = entry.safety_limits.limits()
        if entry.leave_on:
            options["leave_on"] = True
        if self._is_simulated(entry, simulate):
            options |= {"simulate": True, "visa_library": self._library(entry, simulate)}
        key = entry.driver or entry.profile or entry.address
        if key == entry.address:
            del options["address"]
        try:
            return await connect_async(key, **options)
        except LabnbError as error:
            error.add_note(f"{self.path}, line {self._described.document.line(('instruments', alias))}: {alias}")
            raise

    def _is_simulated(self, entry: "Entry", simulate: bool | None) -> bool:
        if simulate is not None:
            return simulate
        return self._described.file.simulate if entry.simulate is None else entry.simulate

    async def _do(self, command: "Command") -> None:
        instrument = self._instruments[command.alias]
        try:
            if command.verb == "write":
                await instrument.write(command.text)
            elif command.verb == "reset":
                await instrument.write("*RST")
            elif not command.channels:
                await self._switch_off(instrument)
            else:
                for number in command.channels:
                    await getattr(instrument.channel(number), command.verb)()
        except AttributeError as error:
            raise InstrumentError(
                f"{self.path}: '{command}' cannot be done: {type(instrument).__name__} has no such thing ({error})"
            ) from error
        except InstrumentError as error:
            error.add_note(f"while doing '{command}' of {self.path}")
            raise

    async def _switch_off(self, instrument: Any) -> None:
        """Bring it into its safe state; `leave_on` is about what nobody has asked for."""
        if not instrument.leave_on:
            await instrument.make_safe()
            return
        for text in instrument.safe_state:
            await instrument.write(text)

    async def close(self) -> None:
        """Do what comes after the experiment, make all instruments safe, close those that were connected for it.

        Runs and tasks that still use one are ended first: a connection that is closed can switch nothing off any more.
        Everything is tried, whatever fails; then the first failure is raised with the others as notes.
        """
        if self._closed:
            return
        self._closed = True
        failures = list[BaseException]()
        await end_users([each for each in self._instruments.values() if isinstance(each, Instrument)])
        for command in self._described.after:
            try:
                await self._do(command)
            except (InstrumentError, ReservationLost) as error:
                failures.append(error)
        failures += await make_all_safe([i for i in self._instruments.values() if isinstance(i, Instrument)])
        failures += await close_all(self._owned)
        await self._reserving.leave()
        if failures:
            _tell_together(failures)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with telling(error):
            await self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with telling(error):
            run_blocking(self.close)

    def __repr__(self) -> str:
        return f"<Bench {self.name}: {', '.join(self._instruments) or 'no instruments'}>"


@final
class Opening:
    """A bench that is about to be opened: await it, or enter it by `async with` or `with`."""

    def __init__(self, path: Path, simulate: bool | None, reserve: Patience | None) -> None:
        self._path, self._simulate, self._reserve = path, simulate, reserve
        self._bench: Bench | None = None

    def __await__(self) -> Generator[Any, None, Bench]:  # the protocol of await has Any
        """Open the bench."""
        return self._open().__await__()

    async def _open(self) -> Bench:
        bench = Bench(await beside(self._read))
        try:
            await bench.connect(self._simulate, self._reserve)
        except BaseException:
            await asyncio.shield(bench.close())
            raise
        return bench

    def _read(self) -> "Described":
        from labnb.session._bench_file import read_bench  # pydantic, when needed
        from labnb.sim import find_bench

        described = read_bench(self._path)
        file = described.file
        own = [file.simulate if entry.simulate is None else entry.simulate for entry in file.instruments.values()]
        if self._simulate or (self._simulate is None and any(own)):
            find_bench(str(self._path.absolute()))  # its mistakes are told before anything is connected
        return described

    async def __aenter__(self) -> Bench:
        self._bench = await self
        return self._bench

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bench is not None:
            await self._bench.__aexit__(kind, error, trace)

    def __enter__(self) -> Bench:
        self._bench = run_blocking(self._open)
        return self._bench

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bench is not None:
            self._bench.__exit__(kind, error, trace)


def _tell_together(failures: list[BaseException]) -> None:
    """Raise the first of `failures` with the others as notes."""
    for other in failures[1:]:
        failures[0].add_note(f"and: {type(other).__name__}: {other}")
    raise failures[0]
