import json

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.json_files import read_json_object, write_json


def test_write_json_knows_paths_and_numpy(tmp_path):
    written = write_json(tmp_path / "a.json", {"p": tmp_path, "n": np.float64(1.5), "a": np.arange(3)})
    assert json.loads(written.read_text()) == {"p": str(tmp_path), "n": 1.5, "a": [0, 1, 2]}
    assert written.read_text().endswith("\n")


def test_write_json_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(TypeError, match="object"):
        write_json(tmp_path / "a.json", object())
    assert not (tmp_path / "a.json").exists()


def test_a_json_object_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1]}', encoding="utf-8")
    assert read_json_object(tmp_path / "a.json") == {"a": [1]}


@pytest.mark.parametrize(
    ("content", "said"), [(b"{", "not JSON"), (b"\xff", "not JSON"), (b"[1]", "not a JSON object")]
)
def test_what_is_no_json_object_is_named(tmp_path, content, said):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InvalidInputError, match=f"a.json is {said}"):
        read_json_object(tmp_path / "a.json")


def test_a_missing_json_object_says_what_it_is_for(tmp_path):
    with pytest.raises(NotFoundError) as raised:
        read_json_object(tmp_path / "a.json", hint="It holds all.")
    assert raised.value.hint == "It holds all."
