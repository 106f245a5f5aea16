from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import MocapactError
from mocapact_cli.core.evaluation import dataset_report
from mocapact_cli.core.evaluation.dataset_report import camera_sheets, choose, dataset_motions, snippet_scores
from mocapact_cli.core.evaluation.inspect_page import _moving_parts
from mocapact_cli.core.evaluation.inspect_views import extend
from mocapact_cli.core.evaluation.inspection import inspect_path

EVIL = "<img src=x onerror=window.hit=1>"
STAGE = "document.getElementById('stage').toDataURL()"
FRAME = "Number(document.getElementById('frame').value)"


def write_page(path: Path, target: Path) -> Path:
    extend(path, inspect_path(path), html=target)
    return target


@pytest.fixture(scope="module")
def page(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(recorded, tmp_path_factory.mktemp("page") / "a.html")


def scrub(step: int) -> str:
    return (
        f"(() => {{ const frame = document.getElementById('frame'); frame.value = {step};"
        f" frame.dispatchEvent(new Event('input')); return {STAGE}; }})()"
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_quiet_and_fits_the_screen(browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.evaluate("document.querySelectorAll('section').length") > 4
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert (browser.problems, browser.requests) == ([], [])
    assert page.stat().st_size < 5_000_000


def test_scrubbing_shows_other_poses_and_comes_back(browser, page: Path) -> None:
    browser.open(page)
    first, later = browser.evaluate(scrub(2)), browser.evaluate(scrub(8))
    assert "step 8 of" in browser.evaluate("document.getElementById('clock').textContent")
    assert first != later
    assert browser.evaluate(scrub(2)) == first


def test_playing_advances_and_pausing_stops(browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate("document.getElementById('speed').value = '0.25'; document.getElementById('play').click()")
    browser.wait(f"{FRAME} >= 3")
    browser.evaluate("document.getElementById('play').click()")
    stopped = browser.evaluate(FRAME)
    browser.evaluate("new Promise((done) => setTimeout(done, 300))")
    assert browser.evaluate(FRAME) == stopped
    assert browser.evaluate("document.getElementById('play').textContent") == "Play"


def test_the_ghost_can_be_moved_aside_and_hidden_and_the_view_turned(browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate(scrub(5))
    pictures = {browser.evaluate(STAGE)}
    for value in ("beside", "hidden"):
        change = (
            f"const g = document.getElementById('ghost'); g.value = '{value}'; g.dispatchEvent(new Event('change'))"
        )
        browser.evaluate(f"(() => {{ {change} }})()")
        pictures.add(browser.evaluate(STAGE))
    press = {"x": 600, "y": browser.evaluate("document.getElementById('stage').getBoundingClientRect().top + 100")}
    for kind, shift in (("mousePressed", 0), ("mouseMoved", 60), ("mouseReleased", 60)):
        where = {"x": press["x"] + shift, "y": press["y"], "button": "left", "buttons": 1, "clickCount": 1}
        browser.order("Input.dispatchMouseEvent", type=kind, **where)
    pictures.add(browser.evaluate(STAGE))
    assert len(pictures) == 4


def test_another_episode_can_be_chosen(browser, page: Path) -> None:
    browser.open(page)
    before = browser.evaluate("document.getElementById('note').textContent")
    change = "const m = document.getElementById('motion'); m.value = 1; m.dispatchEvent(new Event('change'))"
    browser.evaluate(f"(() => {{ {change} }})()")
    assert before.startswith("Best of all")
    assert browser.evaluate("document.getElementById('note').textContent").startswith("Worst of all")


def test_tables_sort_both_ways_and_can_be_searched(browser, page: Path) -> None:
    browser.open(page)
    table = "[...document.querySelectorAll('section.table')].find((s) => s.textContent.includes('All values'))"
    cells = f"[...{table}.querySelectorAll('tbody tr')].map((row) => row.cells[1].textContent)"
    click = f"{table}.querySelectorAll('th button')[1].click()"
    browser.evaluate(click)
    numbers = [int(text.replace(",", "")) for text in browser.evaluate(cells)]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1]
    browser.evaluate(click)
    assert [int(text.replace(",", "")) for text in browser.evaluate(cells)] == numbers[::-1]
    search = f"const i = {table}.querySelector('input'); i.value = 'JOINTS_vel'; i.dispatchEvent(new Event('input'))"
    browser.evaluate(f"(() => {{ {search} }})()")
    names = ".filter((row) => row.offsetParent).map((row) => row.cells[0].textContent)"
    shown = f"[...{table}.querySelectorAll('tbody tr')]{names}"
    assert sorted(browser.evaluate(shown)) == ["walker/joints_vel", "walker/joints_vel_control"]


def test_a_mocap_page_plays_its_clips(browser, tmp_path: Path) -> None:
    write_clips(tmp_path / "demo.h5", [demo("demo_reach"), demo("demo_squat")])
    browser.open(write_page(tmp_path / "demo.h5", tmp_path / "a.html"))
    assert browser.evaluate("document.getElementById('motion').length") == 2
    assert browser.evaluate("document.getElementById('ghost').offsetParent === null")
    assert browser.evaluate(scrub(3)) != browser.evaluate(scrub(30))
    assert browser.problems == []


def record(layout: RolloutLayout, steps: int = 5, norm_return: float = 0.5, cameras: bool = False) -> EpisodeRecord:
    images = {"walker/egocentric_camera": np.full((steps + 1, 64, 64, 3), 200, np.uint8)} if cameras else {}
    flat = [np.ones(steps, np.float32) for _ in range(3)]
    arrays = [
        np.zeros((rows, width), np.float32) for rows, width in ((steps + 1, layout.obs_size), (steps, 3), (steps, 3))
    ]
    return EpisodeRecord(*arrays, *flat, True, 4.0, norm_return, 0.5, images)


def test_names_from_files_are_only_text(browser, tmp_path: Path) -> None:
    layout = RolloutLayout({f"walker/{EVIL}": 2}, (1,), 1, 0, act_size=3)
    file = tmp_path / f"{EVIL}.hdf5"
    with RolloutWriter(file, layout, [f"{EVIL}-0-9"], {"config": EVIL, "seed": 1}) as writer:
        writer.add(f"{EVIL}-0-9", 0, record(layout))
    browser.open(write_page(file, tmp_path / "a.html"))
    assert browser.evaluate("document.body.textContent.split('onerror').length") > 4
    assert browser.evaluate("window.hit") is None
    assert browser.evaluate("document.querySelectorAll('img').length") == 1
    assert (browser.problems, browser.requests) == ([], [])


def test_episodes_are_chosen_by_their_scores(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with read_rollouts(recorded) as rollouts:
        scores = [snippet_scores(rollouts[name]) for name in rollouts.snippets]
        values = np.concatenate([part.norm_return for part in scores])
        first, second, *_ = chosen = choose(scores)
        by_name = {part.name: part.norm_return for part in scores}
        assert by_name[first.snippet][first.index] == values.max()
        assert by_name[second.snippet][second.index] == values.min()
        assert {choice.snippet for choice in chosen} == set(rollouts.snippets)
        assert len({(choice.snippet, choice.index) for choice in chosen}) == len(chosen)
        everything = dataset_motions(rollouts, scores)
        monkeypatch.setattr(dataset_report, "MOTION_FRAMES", len(everything[0].walker))
        assert [motion.title for motion in dataset_motions(rollouts, scores)] == [everything[0].title]
        nothing = [replace(part, norm_return=np.full_like(part.norm_return, np.nan)) for part in scores]
        assert choose(nothing) == []


def test_camera_images_become_strips(tmp_path: Path) -> None:
    layout = RolloutLayout({"walker/body_height": 2}, (1,), 2, 0, act_size=3)
    with RolloutWriter(tmp_path / "a.hdf5", layout, ["a-0-9"]) as writer:
        writer.add("a-0-9", 0, record(layout, norm_return=0.5, cameras=True))
        writer.add("a-0-9", 1, record(layout, steps=30, norm_return=0.7, cameras=True))
    with read_rollouts(tmp_path / "a.hdf5") as rollouts:
        sheets = list(camera_sheets(rollouts, [snippet_scores(rollouts["a-0-9"])]))
    assert [image.shape for _, image in sheets] == [(66, 660, 3), (66, 6 * 66, 3)]
    assert "egocentric camera" in sheets[0][0]
    assert "Camera images" in write_page(tmp_path / "a.hdf5", tmp_path / "a.html").read_text()


def test_files_with_odd_content_still_have_pages(recorded: Path, tmp_path: Path) -> None:
    file = tmp_path / "demo_reach.hdf5"
    file.write_bytes((recorded / "demo_reach.hdf5").read_bytes())
    with h5py.File(file, "r+") as handle:
        snippet = handle["demo_reach-0-40"]
        snippet["0/observations/proprioceptive"][:] = np.nan
        snippet["start_metrics/norm_episode_returns"][:] = np.nan
    found = inspect_path(file)
    added = extend(file, found, html=tmp_path / "a.html", plot=tmp_path / "a.png")
    assert added["values"]["not_finite"] > 1000
    assert "values are not finite" in (tmp_path / "a.html").read_text()


def test_damage_below_the_first_screen_ends_in_one_line(recorded: Path, tmp_path: Path) -> None:
    content = (recorded / "demo_reach.hdf5").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(24):
        damaged = bytearray(content)
        for position in rng.integers(len(content) if number % 2 else 20_000, size=3):
            damaged[position] = rng.integers(256)
        file = tmp_path / "demo_reach.hdf5"
        file.write_bytes(bytes(damaged))
        message = ""
        try:
            found = inspect_path(file)
            _moving_parts(file, found | extend(file, found, values=True))
        except MocapactError as error:
            refused += 1
            message = error.message
        assert "\n" not in message
    assert refused > 2
