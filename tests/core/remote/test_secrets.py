import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocapact_cli.core.errors import AccessError
from mocapact_cli.core.remote.secrets import HIDDEN, check_sas_expiry, guard_logs, redact, sas_expiry, without_secrets

SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789%+/-_", min_size=8, max_size=60).filter(
    lambda text: text not in "sharedaccesssignature"
)
PLACES = [
    "https://a.blob.core.windows.net/c/x?sv=2020&sig={}&se=2026",
    "https://a.blob.core.windows.net/c/x?SIG={}",
    "Max retries exceeded with url: /c/x?se=2026&sig={} (Caused by nothing)",
    "https://mirror.example/go?to=https%3A%2F%2Fa%2Fx%3Fsig%3D{}%26se%3D1",
    "https://bucket.s3.amazonaws.com/x?X-Amz-Credential=a&X-Amz-Signature={}",
    "https://bucket.s3.amazonaws.com/x?X-Amz-Security-Token={}&b=1",
    "https://cdn.example/x?Policy=p&Signature={}&Key-Pair-Id=k",
    "https://cdn.example/x?Policy={}&Signature=s&Key-Pair-Id=k",
    "https://storage.googleapis.com/x?X-Goog-Signature={}",
    "https://user:{}@mirror.example/x",
    "Authorization: Bearer {}",
    "{{'Authorization': 'Basic {}'}}",
    "{{'authorization': '{}'}}",
    "Proxy-Authorization: Basic {}",
    "BlobEndpoint=https://a;SharedAccessKey={};x=1",
    "DefaultEndpointsProtocol=https;AccountKey={};",
    "https://x/y?access_token={}",
    "https://x/y?token={}",
    "https://x/y?api_key={}",
]


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=20)
@given(secret=SECRET)
def test_no_secret_is_left(place, secret):
    # One that starts like the placeholder's surroundings could be found in what is not it.
    secret = f"Q{secret}Z"
    shown = redact(place.format(secret))
    assert secret not in shown
    assert HIDDEN in shown
    assert redact(shown) == shown


def test_a_token_of_hugging_face_is_known_by_its_looks():
    assert redact("token was hf_abcDEF123456, sorry") == "token was ***, sorry"


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/datasets/microsoft/mocapact-data/resolve/main/sample/small.tar.gz",
        "dataset/small/CMU_016_22.hdf5 has changed at https://mirror.example/data: it is fetched anew.",
        "The signature of a@b.example is basic knowledge, and so is the design=flat.",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_a_user_alone_is_hidden():
    assert redact("https://hf_user@host/x") == "https://***@host/x"


def test_an_address_is_shown_without_user_and_query():
    assert without_secrets("https://me:pw@host:8443/a/b?sig=x#y") == "https://host:8443/a/b"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2026-07-02T00%3A00%3A00Z", datetime(2026, 7, 2, tzinfo=UTC)),
        ("2026-07-02T12:30Z", datetime(2026, 7, 2, 12, 30, tzinfo=UTC)),
        ("2026-07-02", datetime(2026, 7, 2, tzinfo=UTC)),
        ("2026-07-02T00:00:00.1234567Z", datetime(2026, 7, 2, 0, 0, 0, 123456, tzinfo=UTC)),
        ("soon", None),
    ],
)
def test_the_end_of_a_signature_is_read(end, expected):
    assert sas_expiry(f"https://a/c?sv=1&se={end}&sig=abc") == expected


def test_an_expired_signature_is_refused_and_not_shown():
    url = "https://a.blob.core.windows.net/c?se=2026-07-02T00%3A00%3A00Z&sig=verysecret"
    check_sas_expiry(url, datetime(2026, 7, 1, 23, 59, tzinfo=UTC))
    check_sas_expiry("https://a/c?se=2020-01-01", datetime(2026, 7, 1, tzinfo=UTC))
    with pytest.raises(AccessError, match="expired on 2026-07-02 00:00 UTC") as caught:
        check_sas_expiry(url, datetime(2026, 7, 2, tzinfo=UTC))
    assert "verysecret" not in f"{caught.value} {caught.value.hint}"


def test_logs_of_libraries_are_redacted(caplog):
    guard_logs(["some.library"])
    with caplog.at_level(logging.DEBUG, "some.library"):
        logging.getLogger("some.library").debug('%s "GET %s"', "https://host", "/x?sig=verysecret&a=1")
    assert caplog.messages == ['https://host "GET /x?sig=***&a=1"']
