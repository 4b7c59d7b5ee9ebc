"""What every `Sink` promises, as a suite to subclass, and a sink that keeps points in a list."""

from collections.abc import Iterator

import pytest

from labnb.core import ABSENT, Axis, Group, PlainPoint, Point, SchemaError, Sink, State, Variable, amended

VOLTAGE = Axis("voltage", (0.0, 0.1, 0.2), "V")
CURVE = Group(0, (VOLTAGE,), (Variable("current", "A"), Variable("power", "W")))


class ListSink:
    """Keeps everything it is given."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.points: list[Point] = []
        self.state: State | None = None

    def declare(self, group: Group) -> None:
        """Keep a group, or what is known by now of one. Raises SchemaError if that is nothing new."""
        for k, known in enumerate(self.groups):
            if known.key == group.key:
                if amended(known, group) == known:
                    raise SchemaError(f"group {group.key} is declared twice")
                self.groups[k] = amended(known, group)
                return
        self.groups.append(group)

    def put(self, point: PlainPoint) -> None:
        """Keep a point. Raises SchemaError if its group was not declared or has another number of variables."""
        point = Point(*point)
        widths = {group.key: len(group.variables) for group in self.groups}
        if widths.get(point.group) != len(point.values):
            raise SchemaError(
                f"expected {widths.get(point.group)} values in group {point.group}, got {len(point.values)}"
            )
        self.points.append(point)

    def close(self, state: State) -> None:
        """Keep how the run ended."""
        self.state = state


class SinkContract:
    """Subclass as `class TestMySink(SinkContract)` and implement `make_sink` and `count`.

    Sinks that were not closed by a test are closed after it.
    """

    @pytest.fixture
    def sink(self, request: pytest.FixtureRequest) -> Iterator[Sink]:
        """Give a new sink, closed at the end."""
        sink = self.make_sink(request)
        yield sink
        sink.close(State.CANCELLED)

    def make_sink(self, request: pytest.FixtureRequest) -> Sink:
        """Return a new sink; fixtures are had by `request.getfixturevalue`."""
        raise NotImplementedError

    def count(self, sink: Sink) -> int:
        """Return how many points the sink has kept."""
        raise NotImplementedError

    def test_a_point_that_was_taken_is_kept(self, sink: Sink) -> None:
        """Keep what `put` returned from."""
        sink.declare(CURVE)
        for place in range(3):
            sink.put(Point(0, place, (0.5 * place, 1.0), 1_000 + place))
        assert self.count(sink) == 3

    def test_a_plain_tuple_is_a_point_too(self, sink: Sink) -> None:
        """Take points as the hot path hands them on, the unusual ones as well."""
        sink.declare(CURVE)
        sink.put((0, 0, (0.5, 1.0), 1_000))
        sink.put((0, 1, (ABSENT, 1.0), 1_001))
        assert self.count(sink) == 2

    def test_an_absent_value_leaves_the_rest_of_its_point(self, sink: Sink) -> None:
        """Take a point of which one variable was not recorded."""
        sink.declare(CURVE)
        sink.put(Point(0, 0, (0.5, ABSENT), 1_000))
        assert self.count(sink) == 1

    def test_a_group_declared_twice_is_refused(self, sink: Sink) -> None:
        """Refuse what contradicts an earlier declaration."""
        sink.declare(CURVE)
        with pytest.raises(SchemaError):
            sink.declare(CURVE)

    def test_a_variable_without_a_value_is_declared_once_more_with_its_first(self, sink: Sink) -> None:
        """Take what a variable is when it has a value; refuse to change that."""
        first = Group(0, (VOLTAGE,), (CURVE.variables[0], Variable("power", "W", undecided=True)))
        sink.declare(first)
        sink.put((0, 0, (0.5, ABSENT), 1_000))
        sink.declare(CURVE)
        sink.put((0, 1, (0.5, 1.0), 1_001))
        assert self.count(sink) == 2
        for again in (CURVE, Group(0, (VOLTAGE,), (CURVE.variables[0], Variable("power", "W", "str")))):
            with pytest.raises(SchemaError):
                sink.declare(again)

    def test_a_group_may_be_declared_after_points_of_another(self, sink: Sink) -> None:
        """Take groups as the loops reach them."""
        sink.declare(CURVE)
        sink.put(Point(0, 0, (0.5, 1.0), 1_000))
        sink.declare(Group(1, (), (Variable("offset", "V"),)))
        sink.put(Point(1, 0, (0.25,), 1_001))
        assert self.count(sink) == 2

    @pytest.mark.parametrize("state", [State.DONE, State.STOPPED, State.FAILED, State.CANCELLED])
    def test_it_can_be_closed_however_the_run_ended(self, sink: Sink, state: State) -> None:
        """Close with every final state, with or without points."""
        sink.close(state)
        assert self.count(sink) == 0
