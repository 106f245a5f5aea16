"""A fleet whose experts and rollouts lie in Azure Blob Storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from azurite import ACCOUNT, KEY, Azurite
from fleets import attempts, settings

pytest.importorskip("adlfs", reason="pip install adlfs")
REACH, SQUAT = "demo_reach-0-40", "demo_squat-0-40"
FEW = ("--n-start-rollouts", 1, "--n-rsi-rollouts", 2, "--min-steps", 10, "--num-envs", 3)


def test_experts_land_in_a_container_and_are_rolled_out_from_there(mocapact, azurite: Azurite, tmp_path: Path) -> None:
    container = azurite.container("fleet")
    place = f"BlobEndpoint={azurite.url}/{ACCOUNT};AccountName={ACCOUNT};AccountKey={KEY}"
    access = {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{place}"}
    line = ("fleet", "train", REACH, SQUAT, "-o", "abfs://fleet/experts", "--plan", "plan")
    line = (*line, "--config", settings(tmp_path), "--total-timesteps", 64)
    done = mocapact(*line, "--json", **access)
    assert done.code == 0, done.stderr
    names = {blob.name for blob in container.client.list_blobs()}
    assert {f"experts/{snippet}/0/eval_rsi/model/best_model.zip" for snippet in (REACH, SQUAT)} <= names
    assert not [name for name in names if "unfinished" in name]
    again = mocapact(*line, **access)
    assert again.code == 0, again.stderr
    assert len(attempts(tmp_path / "plan")) == 2
    rolled = mocapact("fleet", "rollout", "abfs://fleet/experts", "-o", tmp_path / "dataset", *FEW, "--json", **access)
    assert rolled.code == 0, rolled.stderr
    found = mocapact("inspect", tmp_path / "dataset", "--check", "--json")
    assert (found.code, found.json["episodes"]) == (0, 6)


def test_a_wrong_key_is_one_line(mocapact, azurite: Azurite, tmp_path: Path) -> None:
    azurite.container("locked")
    place = f"BlobEndpoint={azurite.url}/{ACCOUNT};AccountName={ACCOUNT};AccountKey={'A' * 86}=="
    access = {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{place}"}
    line = ("fleet", "train", REACH, "-o", "abfs://locked/experts", "--config", settings(tmp_path))
    done = mocapact(*line, "--total-timesteps", 64, **access)
    assert done.code in {1, 5}
    assert "A" * 20 not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) < 12
