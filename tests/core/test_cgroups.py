import pytest

from mocapact_cli.core.cgroups import cgroup_memory, cgroup_quota


@pytest.fixture
def groups(tmp_path):
    """A function that writes files of control groups and of the membership in them, and returns both places."""

    def write(membership, **files):
        root = tmp_path / "cgroup"
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "self").write_text(membership)
        return root, tmp_path / "self"

    return write


def test_version_2_takes_the_smallest_limit_on_the_way_to_the_root(groups):
    places = groups("0::/a/b\n", a__cpu_dot_max="150000 100000\n", a__b__cpu_dot_max="max 100000\n")
    assert cgroup_quota(*places) == 1.5


def test_a_container_sees_its_own_group_as_the_root(groups):
    assert cgroup_quota(*groups("0::/../../elsewhere\n", cpu_dot_max="400000 100000\n")) == 4.0


def test_version_1_has_a_folder_for_each_controller(groups):
    quota = {"cpu,cpuacct__d__cpu_dot_cfs_quota_us": "250000", "cpu,cpuacct__d__cpu_dot_cfs_period_us": "100000"}
    assert cgroup_quota(*groups("4:cpu,cpuacct:/d\n1:name=systemd:/\n", **quota)) == 2.5


@pytest.mark.parametrize("membership", ["", "0::/\n", "3:cpu:/x\n", "nonsense\n"])
def test_without_a_limit_there_is_none(groups, membership):
    places = groups(membership, cpu_dot_max="max 100000", cpu__x__cpu_dot_cfs_quota_us="-1")
    assert cgroup_quota(*places) is None


def test_memory_of_both_versions(groups):
    assert cgroup_memory(*groups("0::/a\n", a__memory_dot_max="2000000000\n")) == (2_000_000_000, 2_000_000_000)
    one = groups("4:memory:/b\n", memory__b__memory_dot_limit_in_bytes="1000000")
    assert cgroup_memory(*one) == (1_000_000, 1_000_000)


def test_version_1_says_no_limit_by_a_huge_number(groups):
    assert cgroup_memory(*groups("4:memory:/\n", memory__memory_dot_limit_in_bytes="9223372036854771712")) is None


@pytest.mark.parametrize(
    ("membership", "folder", "names"),
    [
        ("0::/a\n", "a", ("max", "current", "inactive_file")),
        ("4:memory:/a\n", "memory__a", ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")),
    ],
)
def test_memory_that_others_of_the_group_use_is_not_free_but_what_is_kept_of_files_is(
    groups, membership, folder, names
):
    limit, used, kept = names
    files = {f"{folder}__memory_dot_{limit}": "1000\n", f"{folder}__memory_dot_{used}": "900\n"}
    assert cgroup_memory(*groups(membership, **files)) == (1000, 100)
    files[f"{folder}__memory_dot_stat"] = f"anon 5\n{kept} 300\n"
    assert cgroup_memory(*groups(membership, **files)) == (1000, 400)
    files[f"{folder}__memory_dot_{used}"] = "1500\n"
    assert cgroup_memory(*groups(membership, **files)) == (1000, 0)
