import shutil
from pathlib import Path

import pytest

from mocapact_cli.core.doctor import trials
from mocapact_cli.core.doctor.findings import Level
from mocapact_cli.core.doctor.trials import Trials

TORCH = """
import numpy as np
__version__ = "9.9"
class version: cuda = {built_for!r}
class cuda:
    is_available = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 0)
class ones:
    def __init__(self, *shape): pass
    exp_ = lambda self: self
class from_numpy:
    def __init__(self, array): self.array = array
    def __add__(self, number): return from_numpy(self.array + number)
    def numpy(self): {numpy}
"""
"""Stands in for PyTorch, which takes seconds to load, where only what it says of itself matters."""


def torch(built_for=None, numpy="return self.array"):
    return TORCH.format(built_for=built_for, numpy=numpy)


def test_the_installed_libraries_load_and_step_the_walker(only):
    trial = Trials()
    found = list(trial.look_at_packages())
    assert only(found, "libraries").level is Level.OK
    walker = only(found, "walker")
    assert (walker.level, walker.details["dofs"]) == (Level.OK, 62)
    assert trial.look_at_gpu()


def test_a_library_that_crashes_is_named_and_the_rest_is_not_said(stand_ins, only):
    stand_ins(torch="import os; os.abort()")
    trial = Trials()
    found = only(trial.look_at_packages(), "torch")
    assert found.level is Level.PROBLEM
    assert found.text == "cannot be used: the process crashed with signal 6"
    assert found.remedy == "pip install --force-reinstall --no-deps torch"
    assert [one.level for one in trial.look_at_gpu()] == [Level.NOTE]


def test_a_library_that_does_not_import_is_named_with_its_reason(stand_ins, only):
    stand_ins(h5py="raise ImportError('numpy.core.multiarray failed to import')", torch=torch())
    found = only(Trials().look_at_packages(), "h5py")
    assert found.text == "cannot be used: ImportError: numpy.core.multiarray failed to import"


def test_a_pytorch_that_does_not_import_is_said_once(stand_ins):
    stand_ins(torch="raise ImportError('libc10.so is missing')")
    trial = Trials()
    broken = [found.name for found in trial.look_at_packages() if found.level is Level.PROBLEM]
    assert broken == ["torch"]
    (gpu,) = trial.look_at_gpu()
    assert gpu.level is Level.NOTE
    assert gpu.text.startswith("was not tried, as PyTorch")


def test_a_library_built_for_another_numpy_is_a_problem(stand_ins, only):
    stand_ins(torch=torch(numpy="raise RuntimeError('Numpy is not available')"))
    found = only(Trials().look_at_packages(), "numpy and torch")
    assert found.level is Level.PROBLEM
    assert "Numpy is not available" in found.text


def test_a_library_that_hangs_is_a_problem(stand_ins, only):
    stand_ins(numpy="import time; time.sleep(600)")
    found = only(Trials(timeout_s=1.0).look_at_packages(), "numpy")
    assert found.text == "cannot be used: no answer within 1 s"


def test_what_libraries_print_is_no_answer(stand_ins, only):
    stand_ins(torch='print(\'{"step": "walker", "failed": "no"}\')\n' + torch())
    assert only(Trials().look_at_packages(), "walker").level is Level.OK


def test_two_openmp_runtimes_are_a_warning(stand_ins, only, tmp_path, monkeypatch):
    import torch as real

    shipped = next((Path(real.__file__).parent).rglob("libgomp*.so*"), None)
    if shipped is None:
        pytest.skip("this PyTorch ships no OpenMP of its own")
    loads = "import ctypes\n"
    for name in ("libiomp5.so", "libgomp.so.1"):
        loads += f"ctypes.CDLL({str(shutil.copy(shipped, tmp_path / name))!r})\n"
    loads = "import ctypes\n" + "".join(
        f"ctypes.CDLL({str(tmp_path / n)!r})\n" for n in ("libiomp5.so", "libgomp.so.1")
    )
    stand_ins(torch=loads + torch())
    found = only(Trials().look_at_packages(), "OpenMP")
    assert found.level is Level.WARNING
    assert "2 runtimes in one process (libgomp, libiomp5)" in found.text


@pytest.fixture
def answering(monkeypatch):
    """A function that returns the look at the GPU for an answer of the child."""

    def make(answer, driver=False):
        monkeypatch.setattr(trials, "_run", lambda program, timeout: {"CUDA": answer})
        monkeypatch.setattr(trials, "_DRIVERS", (Path("/") if driver else Path("/nowhere/at/all"),))
        (found,) = Trials().look_at_gpu()
        return found

    return make


def nothing(built_for, said=""):
    return {"torch": "2.13.0", "built_for": built_for, "devices": [], "said": said}


def device(free=70 * 10**9, **more):
    return {"device": "cuda:0", "name": "NVIDIA H100", "total": 80 * 10**9, "free": free, **more}


def test_a_gpu_that_computes_is_well(answering):
    found = answering({**nothing("13.0"), "devices": [device()]})
    assert (found.name, found.level, found.text) == ("cuda:0", Level.OK, "NVIDIA H100, 80 GB, 70 GB free")
    assert found.details["free"] == 70 * 10**9


def test_a_gpu_that_does_not_compute_is_a_problem(answering):
    found = answering({**nothing("13.0"), "devices": [device(failed="no kernel image is available")]})
    assert found.level is Level.PROBLEM
    assert "no kernel image" in found.text


def test_a_gpu_that_others_fill_is_a_warning(answering):
    assert answering({**nothing("13.0"), "devices": [device(free=10**9)]}).level is Level.WARNING


def test_without_a_gpu_that_is_worth_knowing(answering):
    assert answering(nothing(None)).level is Level.NOTE


def test_a_gpu_with_a_pytorch_for_processors_is_a_warning(answering):
    found = answering(nothing(None), driver=True)
    assert found.level is Level.WARNING
    assert "built without CUDA" in found.text


def test_a_driver_that_is_too_old_is_a_warning_in_its_own_words(answering, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = answering(
        nothing("13.0", "The NVIDIA driver on your system is too old (found version 11040)."), driver=True
    )
    assert found.level is Level.WARNING
    assert "too old (found version 11040)" in found.text
    assert "driver" in found.remedy


def test_a_hidden_gpu_is_worth_knowing(answering, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = answering(nothing("13.0"), driver=True)
    assert (found.level, found.text) == (Level.NOTE, "hidden by CUDA_VISIBLE_DEVICES")
