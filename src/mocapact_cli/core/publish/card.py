"""The page that stands before what is published: what it is, how good, how it is opened, whose data it comes from."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.formatting import cell, counted, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mocapact_cli.core.publish.parcel import Parcel
    from mocapact_cli.core.publish.scores import Score

LICENCE = "cdla-permissive-2.0"
"""That of MoCapAct's data and models."""
_SHOWN = 40
"""Snippets that are listed; further ones are counted."""
_CMU = "CMU_"
_CITATION = """```bibtex
@inproceedings{wagener2022mocapact,
  title={{MoCapAct}: A Multi-Task Dataset for Simulated Humanoid Control},
  author={Wagener, Nolan and Kolobov, Andrey and Frujeri, Felipe Vieira and Loynd, Ricky and Cheng, Ching-An and \
Hausknecht, Matthew},
  booktitle={Advances in Neural Information Processing Systems},
  volume={35},
  pages={35418--35431},
  year={2022}
}
```"""
_BODY = "the simulated CMU humanoid (dm_control's V2020, position controlled)"
_WHAT = {
    "expert": f"An expert: a policy that makes {_BODY} track one snippet of human motion.",
    "policy for many clips": f"A policy that makes {_BODY} do what many experts do, each of which tracks one snippet "
    "of human motion.",
    "policy for a task": f"A policy for a task of {_BODY}.",
    "dataset of rollouts": f"Episodes of experts that make {_BODY} track snippets of human motion: observations, "
    "actions, rewards, values and advantages.",
}
_EXPERTS = f"Experts: policies that make {_BODY} track one snippet of human motion each."


def make_card(parcel: Parcel, repository: str, *, licence: str = LICENCE) -> str:
    """Return the page as Markdown, with the header that Hugging Face reads.

    Args:
        parcel: What is published.
        repository: Its name there.
        licence: As Hugging Face calls it.
    """
    name = repository.rpartition("/")[2]
    parts = [
        _header(parcel, name, licence),
        f"# {name}\n\n{_WHAT.get(parcel.kind, _EXPERTS)}",
        *_facts(parcel),
        *_scores(parcel.scores),
        f"## How to open it\n\n{_loading(parcel, repository)}",
        *_versions(parcel),
        f"## Licence and citation\n\n{_origin(parcel, licence)}",
    ]
    return "\n\n".join(parts) + "\n"


def _header(parcel: Parcel, name: str, licence: str) -> str:
    tags = ["mocapact", "reinforcement-learning", "humanoid", "mujoco", "dm-control", "motion-capture"]
    values: dict[str, Any] = {"license": licence, "tags": tags}
    if parcel.repository_kind == "model":
        values |= {"library_name": "mocapact", "pipeline_tag": "reinforcement-learning"}
        if parcel.scores:
            values["model-index"] = [{"name": name, "results": _results(parcel)}]
    # What JSON writes, YAML reads.
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---"])


def _results(parcel: Parcel) -> list[dict[str, Any]]:
    task = {"type": "reinforcement-learning", "name": "Motion tracking"}
    if "task" in parcel.details:
        task["name"] = str(parcel.details["task"])
    found = []
    for of in list(dict.fromkeys(score.of for score in parcel.scores))[:_SHOWN]:
        metrics = [
            {"type": score.name.replace(" ", "_").replace(",", ""), "value": round(score.value, 4), "name": score.name}
            for score in parcel.scores
            if score.of == of and math.isfinite(score.value)
        ]
        found.append({"task": task, "dataset": {"type": "mocapact", "name": of}, "metrics": metrics})
    return found


def _facts(parcel: Parcel) -> Iterator[str]:
    sizes = parcel.sizes
    rows = [("Files", f"{counted(len(sizes), 'file')}, {size_text(sum(sizes.values()))}")]
    rows += [
        (name.capitalize(), _said(value)) for name, value in parcel.details.items() if value and name != "training"
    ]
    yield _table(("", ""), rows)
    if parcel.snippets:
        more = f" and {len(parcel.snippets) - _SHOWN:,} more" if len(parcel.snippets) > _SHOWN else ""
        yield f"Snippets of motion: {', '.join(f'`{name}`' for name in parcel.snippets[:_SHOWN])}{more}."
    training = parcel.details.get("training")
    if training:
        settings = [(name, _said(value)) for name, value in training.items()]
        yield f"<details><summary>Settings of its training</summary>\n\n{_table(('', ''), settings)}\n\n</details>"


def _scores(scores: Sequence[Score]) -> Iterator[str]:
    if not scores:
        return
    names = list(dict.fromkeys(score.name for score in scores))
    by_subject: dict[str, dict[str, float]] = {}
    for score in scores:
        by_subject.setdefault(score.of, {})[score.name] = score.value
    rows = [(of, *(cell(known.get(name)) for name in names)) for of, known in list(by_subject.items())[:_SHOWN]]
    more = f"\n\n{len(by_subject) - _SHOWN:,} more are not listed." if len(by_subject) > _SHOWN else ""
    yield f"## How good it is\n\n{_table(('', *names), rows)}{more}"


def _loading(parcel: Parcel, repository: str) -> str:
    fetched = f'snapshot_download("{repository}"'
    before: list[str] = []
    if parcel.repository_kind == "dataset":
        before = ["from pathlib import Path", ""]
        code = [
            "from mocapact_cli import ExpertDataset",
            "from mocapact_cli.core.sim.observables import HIGH_LEVEL",
            "",
            f'folder = Path({fetched}, repo_type="dataset"))',
            'dataset = ExpertDataset(sorted(folder.glob("*.hdf5")), HIGH_LEVEL)',
            "observations, actions, weights = dataset[0]",
        ]
        command = f"mocapact distill train --dataset {repository.rpartition('/')[2]}"
    else:
        place = f' + "/{parcel.snippets[0]}"' if parcel.kind.endswith("experts") else ""
        code = ["from mocapact_cli import load_policy", "", f"policy = load_policy({fetched}){place})"]
        code += ["actions, state = policy.predict(observations)"]
        command = _evaluation(parcel, repository.rpartition("/")[2])
    kind = " --repo-type dataset" if parcel.repository_kind == "dataset" else ""
    fetching = f"hf download {repository}{kind} --local-dir {repository.rpartition('/')[2]}"
    python = "\n".join([*before, "from huggingface_hub import snapshot_download", *code])
    return f"```python\n{python}\n```\n\n```bash\n{fetching}\n{command}\n```"


def _evaluation(parcel: Parcel, folder: str) -> str:
    if parcel.kind == "policy for a task":
        return f"mocapact transfer eval {folder}"
    if parcel.kind == "policy for many clips":
        return f"mocapact distill eval {folder}"
    return f"mocapact expert eval {folder}/{parcel.snippets[0]}"


def _versions(parcel: Parcel) -> Iterator[str]:
    if parcel.versions:
        yield f"## Made with\n\n{', '.join(f'{name} {version}' for name, version in parcel.versions.items())}."


def _origin(parcel: Parcel, licence: str) -> str:
    terms = f"Licence: {licence}."
    if licence == LICENCE:
        terms = "Licence: [CDLA-Permissive-2.0](https://cdla.dev/permissive-2-0/), that of MoCapAct's data and models."
    motion = ""
    if any(name.startswith(_CMU) for name in parcel.snippets) or not parcel.snippets:
        motion = (
            "\n\nThe reference motion comes from the CMU Graphics Lab Motion Capture Database: the data used in this "
            "project was obtained from [mocap.cs.cmu.edu](http://mocap.cs.cmu.edu). The database was created with "
            "funding from NSF EIA-0196217."
        )
    return f"{terms} The method and the formats are those of MoCapAct:\n\n{_CITATION}{motion}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(item)}" for name, item in value.items())
    return cell(value) or "none"
