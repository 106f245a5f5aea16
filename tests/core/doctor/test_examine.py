import json
import subprocess
import sys
import threading

from mocapact_cli.core.doctor.check import Check
from mocapact_cli.core.doctor.examine import examine
from mocapact_cli.core.doctor.findings import PACKAGES, STORAGE


def test_a_look_that_raises_becomes_a_finding():
    def look():
        yield STORAGE.ok("fine", "so far")
        raise ZeroDivisionError("by zero\nsecond line")

    before, found = examine([Check(STORAGE, "space", look)]).findings
    assert before.name == "fine"
    assert (found.subject, found.name, found.level) == ("Storage", "space", "warning")
    assert found.text == "could not be looked at: ZeroDivisionError: by zero"
    assert found.remedy


def test_a_look_that_wants_to_end_the_program_becomes_a_finding():
    def look():
        raise SystemExit(3)

    assert [found.level for found in examine([Check(STORAGE, "space", look)]).findings] == ["warning"]


def test_a_look_that_hangs_is_not_waited_for():
    never = threading.Event()
    checks = [
        Check(STORAGE, "slow", lambda: [STORAGE.ok("slow", str(never.wait()))], limit_s=0.05),
        Check(PACKAGES, "quick", lambda: [PACKAGES.ok("quick", "done")]),
    ]
    slow, quick = examine(checks).findings
    assert (slow.name, slow.level, slow.text) == ("slow", "warning", "gave no answer within 0.05 s")
    assert quick.text == "done"
    never.set()


def test_looks_run_side_by_side():
    both = threading.Barrier(2, timeout=60)
    checks = [Check(STORAGE, str(index), lambda: [STORAGE.ok("met", str(both.wait() >= 0))]) for index in range(2)]
    assert [found.text for found in examine(checks).findings] == ["True", "True"]


def test_findings_keep_the_order_of_the_looks_and_are_counted():
    first = threading.Event()

    def late():
        first.wait(60)
        yield STORAGE.problem("late", "broken", "mend it", size=3)

    def early():
        yield PACKAGES.note("early", "done")
        first.set()

    report = examine([Check(STORAGE, "late", late), Check(PACKAGES, "early", early)])
    assert [found.name for found in report.findings] == ["late", "early"]
    assert report.problems == 1
    document = report.to_json()
    assert document["counts"] == {"ok": 0, "note": 1, "warning": 0, "problem": 1}
    assert document["findings"][0] == {
        "subject": "Storage", "name": "late", "level": "problem", "text": "broken", "remedy": "mend it",
        "details": {"size": 3},
    }  # fmt: skip


def test_no_finding_shows_a_secret():
    def look():
        yield STORAGE.note("url", "https://x/c?sig=abcdef", "hf auth login hf_abcdef", at=["https://x?sig=abcdef"])
        raise ValueError("Bearer hf_abcdef")

    report = examine([Check(STORAGE, "a", look)])
    assert len(report.findings) == 2
    assert "abcdef" not in str(report.to_json())


def test_what_the_doctor_itself_stands_on_may_be_missing(stand_ins):
    missing = "raise ModuleNotFoundError('No module named this')"
    stand_ins(requests=missing, packaging=missing, filelock=missing)
    script = (
        "import json\n"
        "from mocapact_cli.core.doctor.examine import all_checks, examine\n"
        "chosen = [one for one in all_checks() if one.name in ('versions', 'home', 'sources', 'memory')]\n"
        "print(json.dumps(examine(chosen).to_json()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    levels = {found["name"]: found["level"] for found in json.loads(done.stdout)["findings"]}
    assert levels == {"versions": "warning", "memory": levels["memory"], "home": "warning", "sources": "warning"}
