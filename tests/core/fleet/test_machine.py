from __future__ import annotations

import os
import subprocess
import sys

from mocapact_cli.core.fleet.machine import cores_here, lives, machine_id, own_cores, process_stamp


def test_a_process_lives_until_it_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stamp = process_stamp(process.pid)
    assert stamp
    assert lives(process.pid, stamp)
    assert not lives(process.pid, "0")
    process.communicate()
    assert not lives(process.pid, stamp)


def test_a_process_that_nobody_has_asked_for_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    while process_stamp(process.pid) is not None:
        pass
    assert process.returncode is None
    process.wait()


def test_jobs_do_not_share_cores() -> None:
    every = cores_here()
    with own_cores(1) as first:
        assert set(first) < set(every) or first == every
        with own_cores(len(every)) as rest:
            # All but one are free, so as many as there are cannot be had.
            assert rest == [] or not first
        with own_cores(1) as second:
            assert not set(first) & set(second)


def test_a_machine_has_one_name() -> None:
    assert machine_id() == machine_id()
    assert os.uname().nodename in machine_id()
