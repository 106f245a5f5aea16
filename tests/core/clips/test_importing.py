import numpy as np
import pytest
from recordings import amc_text, asf_text, pose, swaying

from mocapact_cli.core.clips.asf import INCH
from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.importing import (
    NO_SIZE,
    NO_SKELETON,
    import_recording,
    import_recordings,
)
from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.clips.retarget import MAX_JOINT_SPEED, num_poses
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.walker import finite_difference_velocities


def test_a_recording_becomes_a_clip(recording, tmp_path):
    output = tmp_path / "out.h5"
    (report,) = import_recordings([recording], output)
    clip = MocapFile(output).get("CMU_007_01")
    assert clip.num_steps == report.num_steps == num_poses(160)
    assert (report.scale_source, report.num_frames, report.lost_frames, report.notes) == ("skeleton", 160, 0, ())
    assert report.scale == pytest.approx(0.9847656 / (14.2 * INCH / 0.45))
    assert report.quality.lowest_point > -0.02
    assert report.quality.foot_skate < 0.1
    document = report.to_dict()
    assert document["lowest_point"] == report.quality.lowest_point
    assert "quality" not in document


def test_without_a_skeleton_the_size_is_estimated_and_noted(recording, walker):
    (recording.parent / "07.asf").unlink()
    _, report = import_recording(recording, walker=walker)
    assert (report.scale_source, report.skeleton, report.notes) == ("ground contact", None, (NO_SKELETON,))
    assert 0.9 < report.scale < 1.5


def test_someone_lying_without_a_skeleton_is_of_usual_size(tmp_path, walker):
    path = tmp_path / "lying.amc"
    path.write_text(amc_text([pose(root=[0.0, 3.0, 0.0, 90.0, 0.0, 0.0])] * 100))
    _, report = import_recording(path, walker=walker)
    assert (report.scale, report.notes) == (1.2, (NO_SIZE,))


def test_a_name_can_be_given_to_one_recording_only(recording, tmp_path):
    import_recordings([recording], tmp_path / "out.h5", clip_id="my-walk")
    assert MocapFile(tmp_path / "out.h5").ids() == ("my-walk",)
    with pytest.raises(UsageError, match="--id"):
        import_recordings([recording, recording], tmp_path / "other.h5", clip_id="my-walk")
    for name in ("a/b", "", " x", ".."):
        with pytest.raises(UsageError, match="cannot be a clip's id"):
            import_recordings([recording], tmp_path / "other.h5", clip_id=name)


def test_two_recordings_of_one_name_are_refused(recording, tmp_path):
    (tmp_path / "sub").mkdir()
    twin = tmp_path / "sub" / "7_1.amc"
    twin.write_text(recording.read_text())
    with pytest.raises(UsageError, match="both become clip CMU_007_01"):
        import_recordings([recording, twin], tmp_path / "out.h5")


def test_the_skeleton_of_another_subject_is_refused(recording, tmp_path):
    other = tmp_path / "08.asf"
    other.write_text(asf_text())
    with pytest.raises(InvalidInputError, match="another subject"):
        import_recordings([recording], tmp_path / "out.h5", skeleton=other)
    named = tmp_path / "seven.asf"
    named.write_text(asf_text())
    import_recordings([recording], tmp_path / "out.h5", skeleton=named)


def test_one_bad_recording_stops_the_import_and_keeps_the_old_file(recording, tmp_path):
    output = tmp_path / "out.h5"
    import_recordings([recording], output)
    before = output.read_bytes()
    bad = tmp_path / "07_09.amc"
    bad.write_text(amc_text(swaying(50))[:-30])
    with pytest.raises(InvalidInputError, match=r"07_09\.amc, line \d+"):
        import_recordings([recording, bad], output, force=True)
    assert output.read_bytes() == before


def test_errors_about_the_content_name_the_file(tmp_path, walker):
    path = tmp_path / "short.amc"
    path.write_text(amc_text(swaying(9)))
    with pytest.raises(InvalidInputError, match=r"short\.amc: .*usable frames"):
        import_recording(path, walker=walker)


def test_what_exists_is_refused_before_any_work(recording, tmp_path):
    output = tmp_path / "out.h5"
    import_recordings([recording], output)
    with pytest.raises(UsageError, match="already exists"):
        import_recordings([tmp_path / "07_01.amc"], output)
    with pytest.raises(UsageError, match="already holds CMU_007_01"):
        import_recordings([recording], output, append=True)
    import_recordings([recording], output, append=True, clip_id="second")
    assert MocapFile(output).ids() == ("CMU_007_01", "second")


# The real recordings


def test_every_real_recording_converts_to_a_sound_motion(converted, walker):
    assert len(converted) == 45
    lower, upper = walker.joint_range.T
    for name, (clip, report) in converted.items():
        assert report.num_steps == clip.num_steps == num_poses(report.num_frames - report.lost_frames), name
        assert np.abs(clip.joints_velocity).max() < MAX_JOINT_SPEED, name
        assert (clip.joints >= lower).all(), name
        assert (clip.joints <= upper).all(), name
        assert report.quality.lowest_point > -0.03, name
        assert report.quality.foot_skate < 1.2, name
        assert report.clamped_share < 0.15, name
        assert 1.1 < report.scale < 1.3, name
        np.testing.assert_allclose(np.linalg.norm(clip.quaternion, axis=1), 1.0, atol=1e-12)


def test_the_motions_are_of_the_measured_quality(converted):
    reports = [report for _, report in converted.values()]
    median = {
        key: float(np.median([report.to_dict()[key] for report in reports]))
        for key in ("lowest_point", "foot_skate", "max_joint_velocity", "clamped_share")
    }
    assert -0.015 < median["lowest_point"] <= 0.0
    assert median["foot_skate"] < 0.27
    assert median["max_joint_velocity"] < 13.0
    assert 0.04 < median["clamped_share"] < 0.09


def test_velocities_carry_each_pose_into_the_next(converted, walker):
    for name in ("07_01", "09_10", "zombie"):
        clip: Clip = converted[name][0]
        np.testing.assert_array_equal(clip.qvel(), finite_difference_velocities(walker, clip.qpos(), clip.dt))


def test_steps_are_numbered_as_in_the_published_clips(converted, test_data):
    last: dict[str, int] = {}
    for line in (test_data / "mocap" / "snippets.txt").read_text().split():
        snippet = Snippet.parse(line)
        last[snippet.clip_id] = max(last.get(snippet.clip_id, 0), snippet.end_step)
    compared = [(clip, report) for clip, report in converted.values() if clip.id in last]
    assert len(compared) == 38
    for clip, report in compared:
        trimmed = last[clip.id] - clip.last_step
        assert trimmed == 0 if report.lost_frames == 0 else 0 <= trimmed <= 2, clip.id


def test_lost_tracking_is_trimmed(converted):
    assert converted["09_10"][1].lost_frames == 4
    assert converted["08_07"][1].lost_frames == 6
    assert converted["07_01"][1].lost_frames == 0


def test_contact_estimates_the_size_that_the_skeleton_tells(cmu, converted, walker):
    ratios = []
    for name, (_, report) in converted.items():
        if report.scale_source == "skeleton" and name != "01_01":
            _, estimate = import_recording(cmu / f"{name}.amc", walker=walker)
            ratios.append(estimate.scale / report.scale)
        if len(ratios) == 12:
            break
    assert np.abs(np.log(ratios)).max() < 0.05


def test_people_walk_upright_and_forward(converted):
    for name in ("07_01", "07_08", "35_01", "16_35"):
        clip = converted[name][0]
        head = clip.appendages[:, 4]
        assert head[:, 1].min() > 0.5, "the head is above the pelvis"
        way = clip.position[-1, :2] - clip.position[0, :2]
        w, x, y, z = clip.quaternion.T
        facing = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x)], axis=1).mean(axis=0)
        assert way @ facing > 0.95 * np.linalg.norm(way) * np.linalg.norm(facing)
