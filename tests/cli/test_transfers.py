import sys

import pytest

from mocapact_cli.cli.resume import naming_the_way_on
from mocapact_cli.cli.transfers import Secrecy
from mocapact_cli.core.errors import InterruptedRunError

SAS = "https://x.blob.core.windows.net/c?sv=1&sig=SECRET"


@pytest.mark.parametrize(
    ("secrecy", "arguments", "command"),
    [
        (Secrecy(), ["download", "-c", "a b"], "mocapact download -c 'a b'"),
        (
            Secrecy(SAS),
            ["download", "--sas-url", SAS, "-t", "gpt"],
            "mocapact download -t gpt (with the same --sas-url or MOCAPACT_AZURE_SAS_URL)",
        ),
        (
            Secrecy(SAS),
            ["download", f"--sas-url={SAS}", "-t", "gpt"],
            "mocapact download -t gpt (with the same --sas-url or MOCAPACT_AZURE_SAS_URL)",
        ),
        (
            Secrecy(address=SAS),
            ["download", f"--source={SAS}"],
            "mocapact download --source=https://x.blob.core.windows.net/c (with the same signature or password)",
        ),
        (
            Secrecy(address="https://u:SECRET@example.org"),
            ["download", "--source", "https://u:SECRET@example.org"],
            "mocapact download --source https://example.org (with the same signature or password)",
        ),
    ],
)
def test_the_command_that_goes_on_has_no_secrets(secrecy, arguments, command):
    assert secrecy.command(arguments) == command


def test_ctrl_c_is_a_message_with_that_command(monkeypatch):
    monkeypatch.setattr("sys.argv", ["mocapact", "download", "-t", "gpt"])
    with (
        pytest.raises(InterruptedRunError) as caught,
        naming_the_way_on(Secrecy().command(sys.argv[1:]), kept="what has come is kept"),
    ):
        raise KeyboardInterrupt
    assert caught.value.hint == "Continue with: mocapact download -t gpt"
    assert caught.value.__suppress_context__
