"""What an acquisition returns may be a text or a member of an Enum."""

import enum

from labnb.session import Measurement


class Range(enum.Enum):
    LOW = 1
    HIGH = 2


async def test_texts_and_members_of_an_enum_are_recorded_and_shown(tmp_path):
    session = Measurement("ranging", store=tmp_path)
    session.parameter("a", [1, 2, 3])

    @session.acquire
    def read(a):
        return {"x": 0.5 * a, "range": Range.LOW if a < 2 else Range.HIGH, "seen": f"spot {a}"}

    run = await session.run()
    assert run.data.range.values.tolist() == ["LOW", "HIGH", "HIGH"]
    assert run.data.seen.values.tolist() == ["spot 1", "spot 2", "spot 3"]
    assert run.data.x.values.tolist() == [0.5, 1.0, 1.5]
