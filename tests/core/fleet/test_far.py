from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.errors import MissingDependencyError, UsageError
from mocapact_cli.core.fleet.far import Far, is_address


def test_an_address_has_a_protocol() -> None:
    assert is_address("s3://bucket/experts")
    assert not is_address("experts/a:b")


def test_addresses_that_lead_nowhere_are_one_line() -> None:
    with pytest.raises(UsageError, match="no address"):
        Far("nonsense://x/y")
    with pytest.raises(MissingDependencyError, match="not installed") as caught:
        Far("s3://bucket/key")
    assert "mocapact[cloud]" in caught.value.hint


@pytest.mark.parametrize("protocol", ["memory://", "file://"])
def test_files_are_put_listed_fetched_and_removed(tmp_path: Path, protocol: str) -> None:
    far = Far(f"{protocol}{tmp_path}/far")
    assert far.files() == set()
    (tmp_path / "here" / "sub").mkdir(parents=True)
    for name in ("one.txt", "sub/two.txt", ".hidden"):
        (tmp_path / "here" / name).write_text(name)
    far.put_folder(tmp_path / "here", "a/b", last=Path("one.txt"))
    far.put_file(tmp_path / "here" / "one.txt", "c.txt")
    assert far.files() == {"a/b/one.txt", "a/b/sub/two.txt", "c.txt"}
    assert far.files("a/b/sub") == {"a/b/sub/two.txt"}
    assert (far.read_text("c.txt"), far.read_text("d.txt")) == ("one.txt", None)
    far.fetch("a/b", tmp_path / "back")
    assert (tmp_path / "back" / "sub" / "two.txt").read_text() == "sub/two.txt"
    far.remove("a")
    far.remove("never there")
    assert far.files() == {"c.txt"}
