"""`mocapact download` against every kind of source, each a real one on this machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from http_server import Fault
from published_layout import below, hub_archives, original_layout, read, tarball, write

from mocapact_cli.cli import main

pytestmark = pytest.mark.usefixtures("no_proxy")

PROGRAM_TIMEOUT = 60


@pytest.fixture(scope="session")
def layout():
    return original_layout()


@pytest.fixture(scope="session")
def full_container(azurite, layout):
    made = azurite.container("published")
    for name, content in layout.items():
        made.add(name, content)
    return made


@pytest.fixture
def full_hub(hub, layout):
    for repository, files in hub_archives(layout).items():
        for name, content in files.items():
            hub.add(repository, name, content)
    return hub


@pytest.fixture
def mirror(server, layout):
    for name, content in layout.items():
        server.add(f"mocapact/{name}", content)
    return server


@pytest.fixture
def served(request, tmp_path, layout):
    """The same files behind one kind of source: its options and environment."""
    kind = request.param
    if kind == "folder":
        return ["--source", write(tmp_path / "copy", layout)], {}
    if kind == "azure":
        container = request.getfixturevalue("full_container")
        return ["--source", "azure"], {"MOCAPACT_AZURE_SAS_URL": container.sas_url()}
    if kind == "hub":
        return [], {"HF_ENDPOINT": request.getfixturevalue("full_hub").url, "HF_HOME": str(tmp_path)}
    mirror = request.getfixturevalue("mirror")
    if kind == "listed mirror":
        mirror.add("mocapact/index.txt", "".join(f"./{name}\n" for name in layout).encode())
    return ["--source", f"{mirror.url}/mocapact"], {}


every_source = pytest.mark.parametrize("served", ["folder", "azure", "hub", "mirror"], indirect=True)


@every_source
def test_chosen_experts_come_from_every_source(served, mocapact, mocapact_home, layout):
    options, environment = served
    done = mocapact(
        "download", "-t", "experts", "-c", "CMU_016_22,CMU_009_12-165-363", *options, "--json", **environment
    )
    assert done.code == 0, done
    wanted = below(layout, "experts/", "CMU_016_22", "CMU_009_12-165-363")
    assert read(mocapact_home / "data" / "experts") == wanted
    assert done.json["result"]["files"] == len(wanted) == done.json["result"]["written"]
    again = mocapact(
        "download", "-t", "experts", "-c", "CMU_016_22,CMU_009_12-165-363", *options, "--json", **environment
    )
    assert (again.code, again.json["result"]["written"], again.json["result"]["received_bytes"]) == (0, 0, 0)
    assert again.json["plan"]["bytes_to_fetch"] == 0 or again.json["plan"]["archives"]


@pytest.mark.parametrize("served", ["azure", "hub", "mirror"], indirect=True)
def test_a_dataset_comes_with_its_metrics(served, mocapact, tmp_path, layout):
    options, environment = served
    if not options or "azure" in options:
        options = [*options, "--quiet"]
    clips = [] if "azure" in options or not any("http" in str(option) for option in options) else ["-c", "clips.txt"]
    (tmp_path / "clips.txt").write_text("CMU_009_12\nCMU_016_22  # a walk\n\nCMU_016_25\n")
    done = mocapact("download", "-t", "small_dataset", "-d", "data set", *clips, *options, **environment)
    assert done.code == 0, done
    assert read(tmp_path / "data set") == below(layout, "dataset/small/")


@pytest.mark.parametrize(
    ("served", "kind", "folder"),
    [("azure", "multiclip_policy", "multiclip_policy/"), ("hub", "transfer", "transfer/"), ("mirror", "gpt", "")],
    indirect=["served"],
)
def test_policies_come_whole(served, kind, folder, mocapact, mocapact_home, layout):
    options, environment = served
    done = mocapact("download", "-t", kind, *options, **environment)
    assert done.code == 0, done
    named = {"multiclip_policy": "distill eval", "transfer": "transfer eval", "gpt": "complete"}[kind]
    words = done.stdout.partition(f"mocapact {named} ")[2].split()
    assert Path(words[0]).exists()
    again = mocapact("download", "-t", kind, *options, "--quiet", **environment)
    assert (again.code, again.stdout, again.stderr) == (0, f"{mocapact_home / 'data' / kind}\n", "")
    wanted = below(layout, folder) if folder else {"gpt.ckpt": layout["gpt.ckpt"]}
    assert read(mocapact_home / "data" / kind) == wanted


def test_a_sample_is_one_archive(full_hub, mocapact, mocapact_home, layout, tmp_path):
    done = mocapact("download", "-t", "experts", "--sample", HF_ENDPOINT=full_hub.url, HF_HOME=str(tmp_path))
    assert done.code == 0, done
    assert read(mocapact_home / "data" / "experts") == below(layout, "experts/", "CMU_016_22")
    expert = mocapact_home / "data" / "experts" / "CMU_016_22-0-82"
    assert f"mocapact clips fetch && mocapact expert eval {expert}\n" in done.stdout


def test_only_the_archive_that_holds_a_clip_is_read(full_hub, mocapact, tmp_path):
    command = ("download", "-t", "large_dataset", "-c", "CMU_016_22", "--json")
    done = mocapact(*command, HF_ENDPOINT=full_hub.url, HF_HOME=str(tmp_path))
    assert done.code == 0, done
    bodies = {request.path.split("?")[0]: request.sent[0] for request in full_hub.storage.requests}
    beginnings = [count for path, count in bodies.items() if path.endswith("large_1.tar.gz")]
    assert sum(beginnings) <= 70_000, "more than the beginning of the archive of other clips came"


def test_an_archive_on_this_machine_is_a_source(mocapact, tmp_path, layout):
    (tmp_path / "mine.tar.gz").write_bytes(tarball(below(layout, "", "experts/CMU_009")))
    done = mocapact("download", "-t", "experts", "-c", "CMU_009_12-0-198", "-d", "out", "--source", "mine.tar.gz")
    assert done.code == 0, done
    assert read(tmp_path / "out") == below(layout, "experts/", "CMU_009_12-0-198")
    lacking = mocapact("download", "-t", "experts", "-c", "CMU_016_22", "-d", "out", "--source", "mine.tar.gz")
    assert lacking.code == 3
    assert "no experts of CMU_016_22" in lacking.stderr


def test_a_plan_is_shown_and_nothing_is_written(mirror, mocapact, mocapact_home):
    source = ["--source", f"{mirror.url}/mocapact"]
    plan = mocapact("download", "-t", "experts", "-c", "CMU_016_22", *source, "--dry-run", "--json")
    assert plan.code == 0
    assert plan.json["plan"]["files"] == 3
    assert plan.json["plan"]["bytes_to_fetch"] == plan.json["plan"]["bytes_on_disk"] > 33_000
    assert plan.json["result"] is None
    assert not (mocapact_home / "data").exists()
    shown = mocapact("download", "-t", "experts", "-c", "CMU_016_22", *source, "--dry-run")
    assert "3 files" in shown.stdout
    assert "33.1 kB" in shown.stdout
    assert not mirror.asked("GET") or all(request.sent[0] < 1000 for request in mirror.asked("GET"))


def test_a_changed_file_is_fetched_again_and_the_others_are_not(mirror, mocapact, mocapact_home, layout):
    command = ("download", "-t", "experts", "-c", "CMU_016_22", "--source", f"{mirror.url}/mocapact", "--json")
    assert mocapact(*command).code == 0
    name = "CMU_016_22-0-82/eval_rsi/model/vecnormalize.pkl"
    mirror.add(f"mocapact/experts/{name}", b"new content")
    done = mocapact(*command)
    assert (done.code, done.json["result"]["written"]) == (0, 1)
    assert (mocapact_home / "data" / "experts" / name).read_bytes() == b"new content"


def test_members_of_a_subset_that_a_source_lacks_are_a_warning(mirror, mocapact, mocapact_home):
    done = mocapact("download", "-t", "experts", "-c", "run_jump_tiny", "--source", f"{mirror.url}/mocapact", "--json")
    assert done.code == 0, done
    assert "lacks" in done.stderr
    assert "CMU_016_23" in done.json["result"]["absent"]
    assert {path.name for path in (mocapact_home / "data" / "experts").glob("CMU*")} == {
        "CMU_016_22-0-82",
        "CMU_016_25-0-75",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-t", "expert"], 2, ["no type of data 'expert'", "Did you mean experts?"]),
        (["-t", "gpt", "-c", "CMU_016_22"], 2, ["not divided by clips"]),
        (["-t", "gpt", "--sample"], 2, ["no sample of gpt"]),
        (["-t", "experts", "--source", "azure"], 2, ["MOCAPACT_AZURE_SAS_URL"]),
        (["-t", "experts", "--source", "ftp://example.org"], 2, ["ftp://example.org"]),
        (["-t", "experts", "--source", "nowhere"], 3, ["no source 'nowhere'"]),
        (["-t", "experts", "-c", "CMU_016_99"], 3, ["no clip or snippet CMU_016_99", "Did you mean"]),
        (["-t", "experts", "-c", "CMU_016_22-0-83"], 3, ["CMU_016_22-0-82"]),
        (["-t", "experts", "-c", "no/such.txt"], 3, ["no/such.txt does not exist"]),
        (
            ["-t", "experts", "--sas-url", "https://a.blob.core.windows.net/c?sig=SECRET", "--source", "hf"],
            2,
            ["Azure"],
        ),
    ],
)
def test_requests_that_make_no_sense_are_told_before_anything_is_asked(
    arguments, code, said, server, fresh_out, monkeypatch, capsys
):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.delenv("MOCAPACT_AZURE_SAS_URL", raising=False)
    assert main.invoke(["download", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(part in captured.err for part in said), captured.err
    assert len(captured.err.splitlines()) <= 3
    assert "SECRET" not in captured.err
    assert not server.requests


@pytest.mark.parametrize("served", ["azure", "hub", "mirror"], indirect=True)
def test_a_clip_that_the_source_lacks_is_not_found(served, mocapact):
    options, environment = served
    done = mocapact("download", "-t", "experts", "-c", "CMU_016_22,CMU_069_01", *options, **environment)
    assert done.code == 3, done
    assert "no experts of CMU_069_01" in done.stderr


@pytest.mark.parametrize("served", ["folder", "listed mirror"], indirect=True)
def test_an_unknown_clip_names_the_nearest(served, mocapact):
    options, environment = served
    done = mocapact("download", "-t", "small_dataset", "-c", "CMU_016_222", *options, **environment)
    assert done.code == 3
    assert "CMU_016_22" in done.stderr.splitlines()[-1]


def test_nothing_is_asked_offline(full_hub, mocapact, tmp_path, layout):
    done = mocapact("download", "-t", "gpt", HF_ENDPOINT=full_hub.url, HF_HOME=str(tmp_path), MOCAPACT_OFFLINE="1")
    assert done.code == 1
    assert "MOCAPACT_OFFLINE" in done.stderr
    assert not full_hub.server.requests
    copy = write(tmp_path / "copy", layout)
    assert mocapact("download", "-t", "gpt", "--source", copy, MOCAPACT_OFFLINE="1").code == 0


@pytest.fixture
def impatient(monkeypatch, fresh_out):
    """The program inside this process, which does not wait between attempts."""
    from mocapact_cli.core.remote import acquire, prepare, retries

    for module in (acquire, prepare):
        monkeypatch.setattr(module, "Retries", lambda: retries.Retries(sleep=lambda _seconds: None))
    return main.invoke


@pytest.mark.parametrize(
    ("source", "environment", "said"),
    [
        ("http://127.0.0.1:9/data", {}, "refuses connections"),
        ("http://no-such-host.invalid/data", {}, "DNS"),
        ("http://example.invalid/data", {"http_proxy": "http://127.0.0.1:9"}, "proxy"),
    ],
)
def test_a_network_that_is_not_there_is_one_line(source, environment, said, impatient, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert impatient(["download", "-t", "gpt", "--source", source]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 2


def test_a_busy_server_is_asked_again(mirror, impatient, mocapact_home, layout):
    for status in (503, 429, 500):
        mirror.faults.append(Fault(status=status, methods=("GET",)))
    mirror.faults.append(Fault(cut=1000, path="gpt.ckpt"))
    assert impatient(["download", "-t", "gpt", "--source", f"{mirror.url}/mocapact", "--quiet"]) == 0
    assert read(mocapact_home / "data" / "gpt") == {"gpt.ckpt": layout["gpt.ckpt"]}


@pytest.mark.parametrize(("hours", "code", "said"), [(-1, 5, "expired"), (1, 0, "")])
def test_a_signature_is_never_shown(hours, code, said, full_container, mocapact):
    url = full_container.sas_url(hours=hours)
    secret = url.partition("sig=")[2].partition("&")[0]
    command = ("download", "-t", "gpt", "--sas-url", url)
    for more, environment in ((("--json",), {}), ((), {"MOCAPACT_DEBUG": "1"})):
        done = mocapact(*command, *more, **environment)
        assert done.code == code, done
        assert said in done.stdout + done.stderr
        assert secret not in done.stdout + done.stderr
        assert "sig=" not in (done.stdout + done.stderr).replace("sig=***", "")
    assert "MOCAPACT_AZURE_SAS_URL" in done.stderr


def test_a_wrong_signature_is_denied_and_never_shown(full_container, mocapact):
    url = full_container.sas_url().replace("sig=", "sig=AAAA")
    secret = url.partition("sig=")[2].partition("&")[0]
    for source in (["--sas-url", url], ["--source", url]):
        done = mocapact("download", "-t", "experts", "-c", "CMU_016_22", *source, MOCAPACT_DEBUG="1")
        assert done.code == 5, done
        assert "ask for another SAS URL" in done.stderr
        assert secret not in done.stdout + done.stderr


def test_a_signature_in_the_wrong_place_is_not_repeated(mocapact):
    done = mocapact("download", "-t", "gpt", "https://x.blob.core.windows.net/c?sv=1&sig=SECRETSECRET")
    assert done.code == 2
    assert "SECRETSECRET" not in done.stdout + done.stderr


def test_a_private_repository_is_denied(full_hub, mocapact, tmp_path):
    full_hub.token = "hf_secretsecretsecret"
    environment = {"HF_ENDPOINT": full_hub.url, "HF_HOME": str(tmp_path)}
    done = mocapact("download", "-t", "gpt", **environment)
    assert (done.code, "HF_TOKEN" in done.stderr) == (5, True)
    wrong = mocapact("download", "-t", "gpt", HF_TOKEN="hf_wrongwrongwrong", MOCAPACT_DEBUG="1", **environment)
    assert wrong.code == 5
    assert "hf_wrong" not in wrong.stdout + wrong.stderr
    assert mocapact("download", "-t", "gpt", HF_TOKEN=full_hub.token, **environment).code == 0


def test_too_little_space_stops_before_anything_comes(mirror, mocapact, small_disk):
    disk = small_disk(16)
    done = mocapact("download", "-t", "gpt", "-d", disk / "out", "--source", f"{mirror.url}/mocapact")
    assert done.code == 1
    assert "free" in done.stderr
    assert all(request.sent[0] < 1000 for request in mirror.requests)


def test_a_destination_that_cannot_be_written_is_said(mirror, mocapact, tmp_path, small_disk):
    source = ["--source", f"{mirror.url}/mocapact"]
    (tmp_path / "file").write_text("in the way")
    done = mocapact("download", "-t", "gpt", "-d", "file", *source)
    assert (done.code, "file is a file" in done.stderr) == (2, True)
    disk = small_disk(1000)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = mocapact("download", "-t", "gpt", "-d", disk / "out", *source)
    assert done.code == 1
    assert "The file system is read-only" in done.stderr


def test_ctrl_c_names_the_command_that_goes_on_without_secrets(installed, mocapact_home, server, tmp_path):
    content = bytes(300_000)
    server.add("m/gpt.ckpt", content)
    server.always = Fault(bytes_per_s=50_000)
    address = server.url.replace("://", "://user:SECRET@") + "/m"
    program = Path(sys.executable).with_name("mocapact")
    command = [str(program), "download", "-t", "gpt", "--source", address]
    with subprocess.Popen(
        command,
        env={**os.environ, "MOCAPACT_HOME": str(mocapact_home)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        end = time.monotonic() + PROGRAM_TIMEOUT
        while server.served < 60_000 and time.monotonic() < end:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
    assert running.returncode == 130, said
    assert f"mocapact download -t gpt --source {server.url}/m (with the same" in said
    assert "SECRET" not in said
    server.always = None
    before = server.served
    done = installed(*command[1:], "--json")
    assert done.code == 0
    assert server.served - before < len(content)
    assert read(mocapact_home / "data" / "gpt") == {"gpt.ckpt": content}


def test_published_files_arrive_as_they_are(test_data, server, mocapact, mocapact_home):
    published = test_data / "published"
    for path in (published / "experts" / "CMU_902_01-0-89").rglob("*"):
        if path.is_file():
            server.add(f"m/experts/{path.relative_to(published / 'experts').as_posix()}", path.read_bytes())
    names = "\n".join(name.removeprefix("m/") for name in server.files)
    server.add("m/index.txt", names.encode())
    done = mocapact("download", "-t", "experts", "-c", "CMU_902_01", "--source", f"{server.url}/m")
    assert done.code == 0, done
    report = mocapact("expert", "report", mocapact_home / "data" / "experts", "--json")
    assert report.code == 0, report
    assert "CMU_902_01-0-89" in json.dumps(report.json)


def test_distillation_finds_what_was_downloaded(write_rollouts, mocapact, tmp_path, mocapact_home):
    copy = write_rollouts(tmp_path / "copy" / "dataset" / "small")
    done = mocapact("download", "-t", "small_dataset", "--source", tmp_path / "copy")
    assert done.code == 0, done
    assert "mocapact distill train" in done.stdout
    shutil.rmtree(copy)
    trained = mocapact(
        *("distill", "train", "--model", "mlp-reference", "--max-steps", "2", "--batch-size", "4"),
        *("--n-eval-episodes", "0", "--split", "all", "--device", "cpu"),
    )
    assert trained.code == 0, trained
    assert (mocapact_home / "data" / "small_dataset" / "demo_squat.hdf5").is_file()


def test_the_file_of_reference_motion_is_known_by_size_and_checksum(server, mocapact, mocapact_home):
    server.add("b/cmu_2020_dfe3e9e0.h5", b"something else")
    for command in (("download", "-t", "mocap", "--source"), ("clips", "fetch", "--url")):
        done = mocapact(*command, f"{server.url}/b/cmu_2020_dfe3e9e0.h5")
        assert done.code == 4, done
        assert "another file: of 14 bytes, not 476,559,420" in done.stderr


def test_reference_motion_is_fetched_to_where_clips_are_looked_up(
    impatient, monkeypatch, server, test_data, mocapact_home, capsys
):
    import hashlib

    from mocapact_cli.core.remote import offers
    from mocapact_cli.core.remote.files import Checksum

    content = (test_data / "published" / "cmu_test_2020.h5").read_bytes()
    monkeypatch.setattr(offers, "MOCAP_BYTES", len(content))
    monkeypatch.setattr(offers, "MOCAP_CHECKSUM", Checksum("sha256", hashlib.sha256(content).hexdigest()))
    server.add("b/cmu_2020_dfe3e9e0.h5", content)
    assert impatient(["clips", "fetch", "--url", f"{server.url}/b", "--quiet"]) == 0
    path = mocapact_home / "data" / "mocap" / "cmu_2020_dfe3e9e0.h5"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == content
    assert impatient(["clips", "list", "--quiet"]) == 0
    assert "CMU_016_22" in capsys.readouterr().out.split()
    path.unlink()
    server.add("b/cmu_2020_dfe3e9e0.h5", content[:-1] + b"!")
    assert impatient(["clips", "fetch", "--url", f"{server.url}/b", "--quiet"]) == 4
    assert not path.exists()


def test_recordings_are_fetched_and_converted(server, test_data, mocapact, mocapact_home):
    recordings = test_data / "mocap" / "cmu"
    for name in ("09_01.amc", "09.asf"):
        server.add(f"subjects/09/{name}", (recordings / name).read_bytes())
    done = mocapact("clips", "fetch", "09_01", "CMU_009_01", "--url", server.url, "--json")
    assert done.code == 0, done
    assert [clip["clip_id"] for clip in done.json["clips"]] == ["CMU_009_01"]
    assert done.json["clips"][0]["scale_source"] == "skeleton"
    assert "CMU_009_01" in mocapact("clips", "list", "--quiet").stdout.split()
    served = server.served
    assert mocapact("clips", "fetch", "09_01", "--url", server.url).code == 0
    assert server.served == served
    assert mocapact("clips", "fetch", "09_02", "--url", server.url).code == 3
    wrong = mocapact("clips", "fetch", "walk", "--url", server.url)
    assert (wrong.code, "09_01" in wrong.stderr) == (2, True)
    server.add("subjects/07/07_01.amc", b"<html>an error page</html>")
    assert mocapact("clips", "fetch", "07_01", "--url", server.url).code == 4
    server.add("subjects/07/07_01.amc", (recordings / "07_01.amc").read_bytes())
    mended = mocapact("clips", "fetch", "07_01", "--url", server.url)
    assert mended.code == 0
    assert "estimated" in mended.stderr
