"""What an error says of a word that it does not know."""

import pytest

from labnb.core import nearest, unknown


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("curent", ["current", "voltage"], "did you mean 'current'? there are current, voltage"),
        ("CURRENT", ["current"], "did you mean 'current'? there are current"),
        ("xyz", ["current"], "there are current"),
        ("xyz", [], "there are none"),
        (3, [1, 2], "there are 1, 2"),
        ("item3", [f"item{each}" for each in range(20, 40)], "did you mean 'item39'?"),
    ],
)
def test_the_nearest_word_is_suggested_and_few_are_all_told(word, known, told):
    assert nearest(word, known) == told
    assert unknown(word, known, "thing") == f"unknown thing {str(word)!r}; {told}"
