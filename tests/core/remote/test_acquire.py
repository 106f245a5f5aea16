import pytest
from http_server import Fault
from published_layout import below, hub_archives, original_layout, read, tarball

from mocapact_cli.core.errors import NotFoundError, RunError
from mocapact_cli.core.remote.acquire import acquire
from mocapact_cli.core.remote.prepare import prepare
from mocapact_cli.core.remote.retries import Retries

LAYOUT = original_layout()
QUICK = Retries(sleep=lambda _seconds: None)


@pytest.fixture
def full_hub(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for repository, files in hub_archives(LAYOUT).items():
        for name, content in files.items():
            hub.add(repository, name, content)
    return hub


def bodies(hub, archive):
    return [request for request in hub.storage.asked() if archive in request.path and request.sent[0] > 70_000]


def test_a_second_request_goes_straight_to_the_archive(full_hub, tmp_path):
    def get(clips):
        return acquire(prepare("large_dataset", clips=clips, destination=tmp_path / "out"), retries=QUICK)

    assert set(get("CMU_016_25").files) == {"CMU_016_25.hdf5"}
    assert not bodies(full_hub, "large_1.tar.gz")
    asked = len(full_hub.storage.requests)
    found = get("CMU_016_22")
    assert found.written == 1
    # What lies before a member has been seen, so that it is known where this one is, and in which archive.
    assert all("large_2" in request.path for request in full_hub.storage.requests[asked:])
    assert read(tmp_path / "out") == below(LAYOUT, "dataset/large/", "CMU_016")


def test_archives_in_no_order_are_all_read_for_what_none_has(full_hub, tmp_path):
    with pytest.raises(NotFoundError, match=r"has no experts of CMU_069_01\."):
        acquire(prepare("experts", clips="CMU_016_22,CMU_069_01", destination=tmp_path / "out"), retries=QUICK)
    # What was found stays.
    assert read(tmp_path / "out") == below(LAYOUT, "experts/", "CMU_016_22")
    asked = len(full_hub.storage.requests)
    with pytest.raises(NotFoundError):
        acquire(prepare("experts", clips="CMU_069_01", destination=tmp_path / "out"), retries=QUICK)
    assert len(full_hub.storage.requests) == asked, "an archive was read again though all of it is known"


def test_an_expert_of_which_a_part_is_missing_is_not_there(server, tmp_path):
    files = below(LAYOUT, "", "experts/CMU_016_22")
    files.pop("experts/CMU_016_22-0-82/eval_rsi/model/vecnormalize.pkl")
    server.add("experts.tar.gz", tarball(files))
    plan = prepare("experts", clips="CMU_016_22", source=f"{server.url}/experts.tar.gz", destination=tmp_path / "out")
    with pytest.raises(NotFoundError, match="no experts of CMU_016_22"):
        acquire(plan, retries=QUICK)


def test_storage_addresses_that_run_out_are_replaced_on_the_way(full_hub, tmp_path):
    full_hub.uses = 1
    full_hub.storage.always = Fault(cut=5_000)
    done = acquire(prepare("gpt", destination=tmp_path / "out"), retries=QUICK, jobs=2)
    assert read(tmp_path / "out") == {"gpt.ckpt": LAYOUT["gpt.ckpt"]}
    assert done.received == len(LAYOUT["gpt.ckpt"])


def test_a_storage_that_always_refuses_is_given_up(full_hub, tmp_path):
    plan = prepare("gpt", destination=tmp_path / "out")
    full_hub.uses = 0
    with pytest.raises(RunError, match="given up"):
        acquire(plan, retries=QUICK)
