import pytest
from published_layout import below, original_layout, read, tarball, write

from mocapact_cli.core.errors import RunError, UsageError
from mocapact_cli.core.remote.acquire import acquire
from mocapact_cli.core.remote.folder import locked
from mocapact_cli.core.remote.plan import ASSUMED_RATE, measured
from mocapact_cli.core.remote.prepare import prepare

LAYOUT = original_layout()


@pytest.fixture
def copy(tmp_path):
    return write(tmp_path / "copy", LAYOUT)


def test_a_plan_knows_what_is_there(copy, tmp_path):
    def plan():
        return prepare("experts", clips="CMU_016_22,CMU_016_25", source=str(copy), destination=tmp_path / "out")

    wanted = below(LAYOUT, "experts/", "CMU_016")
    first, size = plan(), sum(map(len, wanted.values()))
    assert (first.bytes_to_fetch, first.bytes_there, first.bytes_on_disk, first.is_done) == (size, 0, size, False)
    assert first.seconds == pytest.approx(size / ASSUMED_RATE)
    acquire(first)
    assert read(tmp_path / "out") == wanted
    second = plan()
    assert (second.bytes_to_fetch, second.bytes_there, second.is_done) == (0, size, True)
    (tmp_path / "out" / "CMU_016_22-0-82" / "clip_info.json").unlink()
    assert plan().bytes_to_fetch == len(wanted["CMU_016_22-0-82/clip_info.json"])


def test_a_plan_knows_what_is_there_of_an_archive(tmp_path):
    archive = tmp_path / "experts.tar.gz"
    archive.write_bytes(tarball(below(LAYOUT, "", "experts/")))

    def plan(clips):
        return prepare("experts", clips=clips, source=str(archive), destination=tmp_path / "out")

    assert plan(None).bytes_to_fetch == archive.stat().st_size
    assert acquire(plan("CMU_009_12-0-198")).written == 3
    assert plan("CMU_009_12-0-198").bytes_there == sum(map(len, below(LAYOUT, "experts/", "CMU_009_12-0-198").values()))
    done = acquire(plan(None))
    assert (done.written, len(done.files)) == (12, 15)
    assert plan(None).is_done
    assert acquire(plan(None)).received == 0


def test_the_source_itself_is_no_destination(copy):
    with pytest.raises(UsageError, match="is the source itself"):
        prepare("experts", source=str(copy), destination=copy / "experts")


def test_another_process_at_work_is_said(copy, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(RunError, match="Another process"):
        prepare("experts", source=str(copy), destination=tmp_path / "out")


def test_the_rate_of_a_large_download_is_measured(server, tmp_path, monkeypatch):
    monkeypatch.setattr("mocapact_cli.core.remote.plan._PROBE_FROM", 10_000)
    server.add("gpt.ckpt", bytes(300_000))
    ticks = iter(range(1000))
    plan = prepare("gpt", source=server.url, destination=tmp_path / "out")
    found = measured(plan, clock=lambda: next(ticks) * 0.7)
    assert 0 < found.rate < 300_000
    assert found.seconds == pytest.approx(300_000 / found.rate)
