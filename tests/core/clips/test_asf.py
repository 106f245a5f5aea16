import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import CHANNELS, asf_text

from mocapact_cli.core.clips.asf import CMU_SKELETON, DOFS, INCH, parse_asf, read_asf
from mocapact_cli.core.errors import InvalidInputError, NotFoundError

bones = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8).filter(lambda name: name not in ("root", "end"))
dofs = st.permutations(DOFS[3:]).flatmap(lambda order: st.integers(1, 3).map(lambda n: tuple(order[:n])))


@given(st.dictionaries(bones, dofs, min_size=1), st.floats(0.01, 10.0), st.sampled_from(["deg", "rad"]))
def test_what_is_written_is_read(channels, unit, angle):
    channels = {"root": DOFS, **channels}
    skeleton = parse_asf(asf_text(unit=unit, angle=angle, channels=channels))
    assert skeleton.channels == channels
    assert skeleton.degrees == (angle == "deg")
    assert skeleton.meters == pytest.approx(INCH / unit)


@given(st.text(max_size=300))
def test_any_other_text_is_refused_in_one_line(text):
    with pytest.raises(InvalidInputError, match=r"^skeleton, line \d+: ") as caught:
        parse_asf(text)
    assert "\n" not in caught.value.message


def test_leg_length_is_in_metres():
    skeleton = parse_asf(asf_text({"lfemur": 7.0, "ltibia": 7.0, "rfemur": 8.0, "rtibia": 8.0}))
    assert skeleton.leg_length == pytest.approx(15.0 * INCH / 0.45)


def test_a_skeleton_without_legs_has_no_leg_length():
    skeleton = parse_asf(asf_text(channels={"root": DOFS, "head": ("rx",)}))
    with pytest.raises(InvalidInputError, match="lfemur"):
        _ = skeleton.leg_length


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("length 7.0", "length seven", "expected a number"),
        ("length 7.0", "length nan", "not a finite number"),
        ("length 0.45", "length 0", "not a length unit"),
        ("dof rx ry rz", "dof rx rw", "degrees of freedom"),
        ("name upperback", "name lowerback", "a second bone"),
        ("  end\n  begin\n     id 2\n", "  begin\n", "begins inside another"),
        ("     name lowerback\n", "", "without a name"),
    ],
)
def test_damage_is_named_with_its_line(old, new, problem):
    text = asf_text().replace(old, new, 1)
    with pytest.raises(InvalidInputError, match=rf"line \d+: .*{problem}"):
        parse_asf(text)


def test_a_truncated_skeleton_is_refused():
    text = asf_text()
    with pytest.raises(InvalidInputError, match="ends inside a bone"):
        parse_asf(text[: text.index("name ltibia")])


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        read_asf(tmp_path / "none.asf")


def test_real_skeletons_have_the_channels_that_are_assumed_without_one(cmu):
    for path in sorted(cmu.glob("*.asf")):
        skeleton = read_asf(path)
        assert skeleton.channels == CMU_SKELETON.channels == CHANNELS
        assert (skeleton.meters, skeleton.degrees) == (CMU_SKELETON.meters, True)
        assert 0.75 < skeleton.leg_length < 0.9
