import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import amc_text, asf_text, pose

from mocapact_cli.core.clips.amc import parse_amc, read_amc
from mocapact_cli.core.clips.asf import CMU_SKELETON, parse_asf
from mocapact_cli.core.errors import InvalidInputError, NotFoundError

SMALL = {"root": ("tx", "ty", "tz", "rx", "ry", "rz"), "lfemur": ("rx", "ry", "rz"), "lradius": ("rx",)}
values = st.floats(-1e6, 1e6)
frames = st.lists(
    st.fixed_dictionaries({bone: st.lists(values, min_size=len(d), max_size=len(d)) for bone, d in SMALL.items()}),
    min_size=1,
    max_size=6,
)


@settings(max_examples=50)
@given(frames, st.booleans(), st.integers(0, 100))
def test_what_is_written_is_read(recorded, degrees, first):
    skeleton = parse_asf(asf_text(channels=SMALL))
    motion = parse_amc(amc_text(recorded, unit=":DEGREES" if degrees else ":RADIANS", first=first), "x", skeleton)
    for bone, dofs in SMALL.items():
        unit = [skeleton.meters if dof[0] == "t" else np.pi / 180.0 if degrees else 1.0 for dof in dofs]
        expected = np.array([frame[bone] for frame in recorded]) * unit
        np.testing.assert_allclose(motion.columns(tuple(bone + dof for dof in dofs)), expected, rtol=1e-12)


@given(st.text(max_size=300))
def test_any_other_text_is_refused_in_one_line(text):
    with pytest.raises(InvalidInputError, match=r"^recording, line \d+: ") as caught:
        parse_amc(text)
    assert "\n" not in caught.value.message


def test_windows_line_ends_and_comments_do_not_matter():
    text = amc_text([pose(), pose()])
    commented = text.replace("\n", "\r\n").replace(":DEGREES", "# a comment\r\n:DEGREES")
    np.testing.assert_array_equal(parse_amc(commented).values, parse_amc(text).values)


def test_columns_come_in_the_order_asked_for():
    motion = parse_amc(amc_text([pose(lhand=[10.0, 20.0])]))
    np.testing.assert_allclose(np.rad2deg(motion.columns(("lhandrz", "lhandrx"))), [[20.0, 10.0]])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\nlradius 0.0", "\nlradius 0.0 1.0", "lradius has 2 values"),
        ("\nlradius 0.0", "\nlradius x", "not a number"),
        ("\nlradius 0.0", "\nlradius inf", "not finite"),
        ("\nlradius 0.0", "\nltail 0.0", "no moving bone 'ltail'"),
        ("\nlradius 0.0", "\nlwrist 0.0", "lwrist occurs twice|lradius missing"),
        ("\n2\n", "\n7\n", "frame 7 follows frame 1"),
        ("\n1\n", "\n", "expected the first frame"),
    ],
)
def test_damage_is_named_with_its_line(old, new, problem):
    text = amc_text([pose(), pose()]).replace(old, new, 1)
    with pytest.raises(InvalidInputError, match=rf"line \d+: .*({problem})"):
        parse_amc(text)


@given(st.data())
def test_a_recording_cut_inside_a_frame_is_refused(data):
    text = amc_text([pose(), pose(), pose()])
    lines = text.splitlines()
    start = lines.index("3")
    kept = data.draw(st.integers(start + 1, len(lines) - 1))
    with pytest.raises(InvalidInputError, match=rf"line {kept}: .*(missing|empty)"):
        parse_amc("\n".join(lines[:kept]))


def test_binary_and_missing_files(tmp_path):
    path = tmp_path / "x.amc"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(InvalidInputError):
        read_amc(path)
    path.write_bytes(b"")
    with pytest.raises(InvalidInputError, match="before the first frame"):
        read_amc(path)
    with pytest.raises(NotFoundError):
        read_amc(tmp_path / "none.amc")


def test_real_recordings_are_read_with_and_without_a_skeleton(cmu):
    motion = read_amc(cmu / "07_01.amc")
    assert (motion.num_frames, len(motion.channels)) == (316, 62)
    np.testing.assert_allclose(motion.columns(("roottx",))[0], 8.87208 * CMU_SKELETON.meters)
    np.testing.assert_allclose(np.rad2deg(motion.columns(("rfemurrx", "rfemurrz")))[0], [-38.858, 17.3997])
