"""What is found where: the sources are real ones on this machine."""

import time

import pytest
from http_server import Fault
from published_layout import below, hub_archives, original_layout, write

from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.errors import AccessError, InvalidInputError, NotFoundError, RunError, UsageError
from mocapact_cli.core.remote.catalog import KINDS, Choice
from mocapact_cli.core.remote.local import LocalSource
from mocapact_cli.core.remote.mirror import MirrorSource
from mocapact_cli.core.remote.offers import Finder
from mocapact_cli.core.remote.opening import Opened, open_source
from mocapact_cli.core.remote.retries import Retries

LAYOUT = original_layout()
QUICK = Retries(sleep=lambda _seconds: None)


def finder(source, kind="experts", clips=None, sample=False):
    opened = Opened(source) if not isinstance(source, Opened) else source
    return Finder(opened, Choice.of(KINDS[kind], parse_selection(clips)), sample, QUICK)


def places(offer):
    return {place for _, place in offer.files}


@pytest.fixture
def mirror(server):
    for name, content in LAYOUT.items():
        server.add(name, content)
    return MirrorSource(server.url)


def test_names_of_published_files_are_asked_for_one_by_one(mirror, server):
    offer = finder(mirror, clips="CMU_009_12-0-198").find()
    assert places(offer) == set(below(LAYOUT, "experts/", "CMU_009_12-0-198"))
    assert all(file.size == len(LAYOUT[file.name]) for file, _ in offer.files)
    assert server.served < 2000


def test_an_index_lists_what_has_other_names(mirror, server):
    server.add("experts/CMU_901_01-0-82/0/clip_info.json", b"{}")
    server.add("index.txt", b"./experts/CMU_901_01-0-82/0/clip_info.json\n./experts/CMU_016_22-0-82/clip_info.json\n")
    assert places(finder(mirror, clips="CMU_901_01").find()) == {"CMU_901_01-0-82/0/clip_info.json"}


def test_an_index_that_names_what_is_not_there_is_said(server):
    server.add("index.txt", b"experts/CMU_016_22-0-82/clip_info.json\n")
    with pytest.raises(NotFoundError, match=r"lists experts/CMU_016_22-0-82/clip_info\.json"):
        finder(MirrorSource(server.url), clips="CMU_016_22").find()


def test_an_index_that_is_no_text_is_said(server):
    server.add("index.txt", b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match=r"index\.txt"):
        finder(MirrorSource(server.url)).find()


def test_a_mirror_may_have_the_archives_of_hugging_face(server):
    server.add("multiclip_policy.tar.gz", b"archive")
    offer = finder(MirrorSource(server.url), "multiclip_policy").find()
    assert [file.name for file in offer.archives] == ["multiclip_policy.tar.gz"]


def test_a_folder_may_be_the_experts_folder_itself_or_hold_archives(tmp_path):
    experts = write(tmp_path / "mine", below(LAYOUT, "experts/"))
    assert len(places(finder(LocalSource(experts)).find())) == 15
    archives = write(tmp_path / "hub", {f"all/small/small_{n}.tar.gz": b"x" for n in (1, 2, 10)})
    found = finder(LocalSource(archives), "small_dataset").find().archives
    assert [file.name for file in found] == [f"all/small/small_{n}.tar.gz" for n in (1, 2, 10)]


def test_a_file_that_is_there_twice_is_said(tmp_path):
    write(tmp_path, {"a/CMU_016_22.hdf5": b"1", "b/CMU_016_22.hdf5": b"2"})
    with pytest.raises(InvalidInputError, match=r"CMU_016_22\.hdf5 twice"):
        finder(LocalSource(tmp_path), "small_dataset").find()


def test_a_source_without_anything_of_the_type_says_so(tmp_path, server):
    for source in (LocalSource(tmp_path), MirrorSource(server.url)):
        for kind in ("transfer", "gpt"):
            with pytest.raises(NotFoundError, match="has no"):
                finder(source, kind).find()


def test_what_may_be_read_but_not_listed_is_read_by_its_names(azurite):
    container = azurite.container(f"b{time.monotonic_ns()}")
    for name, content in below(LAYOUT, "", "experts/CMU_016_22", "dataset/small/").items():
        container.add(name, content)
    opened = open_source(container.sas_url(rights="r"), None, KINDS["experts"])
    assert places(finder(opened, clips="CMU_016_22").find()) == set(below(LAYOUT, "experts/", "CMU_016_22"))
    with pytest.raises(AccessError):
        finder(open_source(container.sas_url(rights="w"), None, KINDS["experts"]), clips="CMU_016_22").find()


def test_hugging_face_has_archives_and_samples(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for repository, files in hub_archives(LAYOUT).items():
        for name, content in files.items():
            hub.add(repository, name, content)
    opened = open_source(None, None, KINDS["experts"])
    names = [file.name for file in finder(opened).find().archives]
    assert names == ["all/experts/experts_1.tar.gz", "all/experts/experts_2.tar.gz"]
    assert [file.name for file in finder(opened, sample=True).find().archives] == ["sample/experts.tar.gz"]
    with pytest.raises(UsageError, match="no sample"):
        finder(open_source(None, None, KINDS["transfer"]), "transfer", sample=True).find()
    with pytest.raises(UsageError, match="Hugging Face"):
        finder(LocalSource(tmp_path), sample=True).find()
    asked = len(hub.server.requests)
    with pytest.raises(NotFoundError):
        finder(opened, clips="CMU_901_01").find()
    assert len(hub.server.requests) == asked


def test_a_server_that_stays_busy_is_given_up(server):
    server.always = Fault(status=503, methods=("GET", "HEAD"))
    with pytest.raises(RunError, match="given up"):
        finder(MirrorSource(server.url)).find()
