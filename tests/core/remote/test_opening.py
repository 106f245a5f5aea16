import pytest

from mocapact_cli.core.errors import AccessError, NotFoundError, UsageError
from mocapact_cli.core.remote.azure import AzureSource
from mocapact_cli.core.remote.catalog import KINDS
from mocapact_cli.core.remote.huggingface import HuggingFaceSource
from mocapact_cli.core.remote.local import LocalSource
from mocapact_cli.core.remote.mirror import MirrorSource
from mocapact_cli.core.remote.opening import open_source

EXPERTS, MOCAP = KINDS["experts"], KINDS["mocap"]
SAS = "https://mocapact.blob.core.windows.net/public?sv=2020-10-02&sig=SECRET"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("MOCAPACT_AZURE_SAS_URL", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_hugging_face_is_the_default_with_the_repository_of_the_type():
    opened = open_source(None, None, EXPERTS)
    assert isinstance(opened.source, HuggingFaceSource)
    assert opened.source.label == "https://huggingface.co/microsoft/mocapact-models"
    data = open_source("hf", None, KINDS["large_dataset"])
    assert data.source.label == "https://huggingface.co/datasets/microsoft/mocapact-data"
    motion = open_source(None, None, MOCAP)
    assert motion.source.label == "https://storage.googleapis.com/dm_control"


@pytest.mark.parametrize(
    ("text", "sas_url"),
    [(None, SAS), ("azure", SAS), (SAS, None), ("https://mocapact.blob.core.windows.net/public", None)],
)
def test_an_azure_container_is_known_by_its_address(text, sas_url):
    opened = open_source(text, sas_url, EXPERTS)
    assert isinstance(opened.source, AzureSource)
    assert opened.source.label == "https://mocapact.blob.core.windows.net/public"


def test_the_variable_names_the_container_where_azure_is_asked_for(monkeypatch):
    monkeypatch.setenv("MOCAPACT_AZURE_SAS_URL", SAS)
    assert isinstance(open_source("azure", None, EXPERTS).source, AzureSource)
    assert isinstance(open_source(None, None, EXPERTS).source, HuggingFaceSource)


def test_an_expired_signature_is_told_at_once():
    with pytest.raises(AccessError, match="expired on 2020-01-01"):
        open_source(f"{SAS}&se=2020-01-01T00:00:00Z", None, EXPERTS)


@pytest.mark.parametrize(
    ("url", "label", "file"),
    [
        ("https://example.org/data/", "https://example.org/data", ""),
        (
            "https://user:SECRET@example.org/a/experts%201.tar.gz?token=SECRET",
            "https://example.org/a",
            "experts 1.tar.gz",
        ),
    ],
)
def test_an_address_is_a_mirror_or_one_archive(url, label, file):
    opened = open_source(url, None, EXPERTS)
    assert isinstance(opened.source, MirrorSource) == (not file)
    assert (opened.source.label, opened.file) == (label, file)


def test_a_path_is_a_folder_or_one_file(tmp_path):
    (tmp_path / "a.tgz").touch()
    (tmp_path / "motion.h5").touch()
    assert isinstance(open_source(str(tmp_path), None, EXPERTS).source, LocalSource)
    assert open_source(str(tmp_path / "a.tgz"), None, EXPERTS).file == "a.tgz"
    assert open_source(str(tmp_path / "motion.h5"), None, MOCAP).file == "motion.h5"
    with pytest.raises(UsageError, match="is not a source"):
        open_source(str(tmp_path / "motion.h5"), None, EXPERTS)


@pytest.mark.parametrize(
    ("text", "sas_url", "error"),
    [
        ("azure", None, UsageError),
        ("azure", "mocapact?sig=SECRET", UsageError),
        ("hf", SAS, UsageError),
        ("ftp://example.org/x?sig=SECRET", None, UsageError),
        ("azur", None, NotFoundError),
    ],
)
def test_what_is_no_source_is_told_without_secrets(text, sas_url, error):
    with pytest.raises(error) as caught:
        open_source(text, sas_url, EXPERTS)
    assert "SECRET" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
