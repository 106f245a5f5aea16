import pytest

from mocapact_cli.core.remote.wanted import Tally, Wanted


def below(name):
    return name.removeprefix("experts/") if name.startswith("experts/") else None


def tally(items, *members):
    found = Tally(Wanted(below, items))
    for member in members:
        target = found.wanted.target(member)
        found.passed(target, is_file=not member.endswith("/"))
    return found


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("experts/a", "a"),
        ("experts/a/b/c.zip", "a/b/c.zip"),
        ("experts/ab/c.zip", None),
        ("experts/x", None),
        ("other/a", None),
        ("", None),
    ],
)
def test_what_is_in_no_item_is_not_wanted(name, target):
    assert Wanted(below, {"a": ()}).target(name) == target


def test_without_items_whatever_has_a_place_is_wanted():
    assert Wanted(below).target("experts/x/y") == "x/y"
    assert not tally(None, "experts/a", "other").complete()
    assert tally(None).missing() == []


def test_a_file_is_complete_when_it_is_there():
    assert tally({"a.hdf5": ()}, "experts/a.hdf5").complete()
    assert tally({"a.hdf5": (), "b.hdf5": ()}, "experts/a.hdf5").missing() == ["b.hdf5"]


def test_a_folder_is_complete_when_it_has_been_left():
    inside = ["experts/a/", "experts/a/1", "experts/a/2"]
    assert not tally({"a": ()}, *inside).complete()
    assert tally({"a": ()}, *inside, "experts/b/").complete()
    ended = tally({"a": ()}, *inside)
    ended.ended()
    assert ended.complete()


def test_a_folder_is_not_complete_without_its_files():
    members = ["experts/a/1", "experts/b/1"]
    assert tally({"a": ("1", "2")}, *members).missing() == ["a"]
    assert not tally({"a": ("1", "2")}, *members, "experts/a/2").complete()
    assert tally({"a": ("1", "2")}, *members, "experts/a/2", "experts/c").complete()


def test_a_folder_that_never_came_is_missing():
    absent = tally({"a": ()}, "experts/b/1")
    absent.ended()
    assert absent.missing() == ["a"]
