"""Who is granted what, and when."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labnb.sharing.places import meet, place
from labnb.sharing.table import Claim, Hold, Table, Waiter


def claim(*names, mode="exclusive"):
    """Return a claim on places: "a" is a whole instrument, "a/1" one channel."""
    return Claim({name: frozenset({place(*name.split("/"))}) for name in names}, mode=mode)


def names(grants):
    return [next(iter(hold.claim.sessions)) for _, hold in grants]


def test_a_whole_instrument_meets_each_of_its_channels_and_channels_meet_themselves():
    assert meet([place("A")], frozenset({place("a", "1")}))
    assert meet([place("a", "1")], frozenset({place("A")}))
    assert meet([place("a", "1")], frozenset({place("a", "1")}))
    assert not meet([place("a", "1")], frozenset({place("a", "2")}))
    assert not meet([place("a")], frozenset({place("b")}))


def test_a_claim_for_several_is_granted_whole_or_waits_whole():
    table = Table()
    first = table.ask(claim("b"))
    both = table.ask(claim("a", "b"))
    assert isinstance(both, Waiter)
    assert [hold.token for hold in table.holds.values()] == [first.token]
    ((waiter, hold),) = table.release(first.token)
    assert waiter is both
    assert set(hold.claim.sessions) == {"a", "b"}


def test_who_wants_something_else_passes_the_queue():
    table = Table()
    table.ask(claim("a"))
    table.ask(claim("a"))
    assert isinstance(table.ask(claim("b")), Hold)


def test_a_newcomer_does_not_overtake_who_waits_for_several():
    table = Table()
    first = table.ask(claim("a"))
    table.ask(claim("a", "b"))
    late = table.ask(claim("b"))
    assert isinstance(late, Waiter), "b is free, but an earlier claim waits for it: it would starve"
    assert table.position(late) == 2
    ((_, both),) = table.release(first.token)
    ((waiter, _),) = table.release(both.token)
    assert waiter is late


def test_those_who_read_share_and_do_not_overtake_who_writes():
    table = Table()
    readers = [table.ask(claim("a", mode="read")) for _ in range(3)]
    assert all(isinstance(each, Hold) for each in readers)
    writer = table.ask(claim("a"))
    late_readers = [table.ask(claim("a", mode="read")) for _ in range(2)]
    assert isinstance(writer, Waiter)
    assert all(isinstance(each, Waiter) for each in late_readers)
    assert table.release(readers[0].token) == []
    assert table.release(readers[1].token) == []
    ((granted, hold),) = table.release(readers[2].token)
    assert granted is writer
    assert [waiter for waiter, _ in table.release(hold.token)] == late_readers


def test_who_leaves_the_queue_makes_way_for_those_behind():
    table = Table()
    table.ask(claim("a"))
    both = table.ask(claim("a", "b"))
    table.ask(claim("b"))
    assert names(table.withdraw(both)) == ["b"]
    assert table.withdraw(both) == []


def test_a_part_of_a_hold_can_be_given_back():
    table = Table()
    hold = table.ask(claim("a", "b"))
    table.ask(claim("a"))
    assert names(table.release(hold.token, ["a"])) == ["a"]
    assert set(table.holds[hold.token].claim.sessions) == {"b"}
    with pytest.raises(KeyError):
        table.release(hold.token, ["a"])
    table.release(hold.token, ["b"])
    assert hold.token not in table.holds


def test_tokens_only_grow():
    table = Table()
    tokens = []
    for _ in range(5):
        hold = table.ask(claim("a"))
        tokens.append(hold.token)
        table.release(hold.token)
    assert tokens == sorted(set(tokens))


PLACES = st.sampled_from(["a", "a/1", "a/2", "b", "b/1", "c"])


class Counter(RuleBasedStateMachine):
    """People who ask, leave, and give back in any order."""

    def __init__(self):
        super().__init__()
        self.table = Table()
        self.arrived = []  # claims, in order
        self.granted = []  # claims, in order
        self.gone = []

    def note(self, grants):
        self.granted += [hold.claim for _, hold in grants]

    @rule(names=st.sets(PLACES, min_size=1, max_size=3), mode=st.sampled_from(["exclusive", "read"]))
    def ask(self, names, mode):
        wanted = claim(*sorted(names), mode=mode)
        self.arrived.append(wanted)
        asked = self.table.ask(wanted)
        if isinstance(asked, Hold):
            self.granted.append(wanted)

    @precondition(lambda self: self.table.queue)
    @rule(data=st.data())
    def leave(self, data):
        waiter = data.draw(st.sampled_from(self.table.queue))
        self.gone.append(waiter.claim)
        self.note(self.table.withdraw(waiter))

    @precondition(lambda self: self.table.holds)
    @rule(data=st.data())
    def release(self, data):
        self.note(self.table.release(data.draw(st.sampled_from(sorted(self.table.holds)))))

    @invariant()
    def nobody_disturbs_another(self):
        holds = list(self.table.holds.values())
        assert not any(a.claim.disturbs(b.claim) for a in holds for b in holds if a is not b)

    @invariant()
    def nobody_waits_for_nothing(self):
        queue = self.table.queue
        for index, waiter in enumerate(queue):
            before = [each.claim for each in queue[:index]] + [hold.claim for hold in self.table.holds.values()]
            assert any(waiter.claim.disturbs(each) for each in before)

    @invariant()
    def a_position_counts_those_before_that_are_met(self):
        queue = self.table.queue
        for index, waiter in enumerate(queue):
            before = [each for each in queue[:index] if each.claim.disturbs(waiter.claim)]
            assert self.table.position(waiter) == 1 + len(before)

    @invariant()
    def those_who_meet_are_served_in_the_order_in_which_they_came(self):
        for later, claimed in enumerate(self.arrived):
            if any(claimed is each for each in self.granted):
                for earlier in self.arrived[:later]:
                    served = any(earlier is each for each in [*self.granted, *self.gone])
                    assert served or not earlier.disturbs(claimed)


Counter.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestCounter = Counter.TestCase
