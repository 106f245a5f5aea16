import sys

import pytest

from mocapact_cli.core.doctor import packages
from mocapact_cli.core.doctor.findings import Level


def test_what_is_installed_here_is_what_is_asked_for():
    found = list(packages.look_at_versions())
    assert [one.level for one in found if one.name in ("Python", "versions")] == [Level.OK, Level.OK]
    assert not [one for one in found if one.level is Level.PROBLEM]


def test_mujoco_4_is_a_problem_that_says_why(installed_package, only):
    installed_package("mujoco", "4.0.0")
    found = only(packages.look_at_versions(), "mujoco")
    assert found.level is Level.PROBLEM
    assert "4.0.0, but mocapact needs <4,>=3.17" in found.text
    assert "60 or more degrees of freedom" in found.text
    assert found.remedy == "pip install 'mujoco<4,>=3.17'"


@pytest.mark.parametrize(("name", "version"), [("torch", "2.14.0"), ("torch", "2.9.1"), ("stable-baselines3", "3.0.0")])
def test_a_version_outside_what_is_asked_for_is_a_problem(installed_package, only, name, version):
    installed_package(name, version)
    found = only(packages.look_at_versions(), name)
    assert found.level is Level.PROBLEM
    assert version in found.text
    assert found.remedy.startswith(f"pip install '{name}")


def test_a_local_build_of_a_version_is_that_version(installed_package):
    installed_package("torch", "2.11.0+cu130")
    assert not [one for one in packages.look_at_versions() if one.name == "torch"]


def test_protobuf_7_is_worth_a_note(installed_package, only):
    installed_package("protobuf", "7.36.2")
    found = only(packages.look_at_versions(), "protobuf")
    assert found.level is Level.NOTE
    assert "FieldDescriptor.label" in found.text


def test_what_is_missing_is_named(installed_package, only):
    installed_package("mocapact", "9", "a-package-that-nobody-has>=1", 'another>=2; extra == "more"')
    found = only(packages.look_at_versions(), "a-package-that-nobody-has")
    assert found.text == "not installed, but mocapact needs it"
    assert found.remedy == "pip install 'a-package-that-nobody-has>=1'"


def test_requirements_for_other_systems_do_not_count(installed_package):
    installed_package("mocapact", "9", 'a-package-that-nobody-has>=1; sys_platform == "plan9"')
    assert {one.level for one in packages.look_at_versions()} == {Level.OK}


def test_what_packages_ask_of_each_other_counts(installed_package, only):
    installed_package("mocapact", "9", "gymnasium>=1")
    installed_package("gymnasium", "1.4.0", "numpy<1.0")
    found = only(packages.look_at_versions(), "numpy")
    assert found.level is Level.WARNING
    assert "but gymnasium needs <1.0" in found.text


def test_another_python_is_a_problem(installed_package, only):
    installed_package("mocapact", "9", python=">=3.99")
    found = only(packages.look_at_versions(), "Python")
    assert found.level is Level.PROBLEM
    assert f"{sys.version.split()[0]}, but mocapact needs >=3.99" in found.text


def test_an_extra_that_is_missing_names_what_needs_it(installed_package, only):
    installed_package("mocapact", "9", 'nobody-has-this>=1; extra == "export"', 'numpy; extra == "export"')
    found = only(packages.look_at_extras(), "extra export")
    assert found.level is Level.NOTE
    assert found.text.startswith("not installed (nobody-has-this); needed by mocapact export")
    assert found.remedy == "pip install 'mocapact[export]'"


def test_an_extra_in_a_wrong_version_is_a_warning(installed_package, only):
    installed_package("mocapact", "9", 'minari<0.6; extra == "export"')
    installed_package("minari", "0.7")
    found = only(packages.look_at_extras(), "minari")
    assert found.level is Level.WARNING
    assert "mocapact[export] needs <0.6" in found.text


def test_an_extra_that_is_there_is_well(installed_package, only):
    installed_package("mocapact", "9", 'numpy>=1; extra == "export"', 'nobody-has-this; extra == "dev"')
    found = list(packages.look_at_extras())
    assert [(one.name, one.level) for one in found] == [("extra export", Level.OK)]


def test_what_an_extra_asks_for_on_other_systems_is_not_missed(installed_package):
    installed_package(
        "mocapact", "9", 'numpy>=1; extra == "export"', 'nobody-has-this; extra == "export" and sys_platform == "plan9"'
    )
    assert [(one.name, one.level) for one in packages.look_at_extras()] == [("extra export", Level.OK)]


def test_a_python_that_was_built_from_a_repository_is_its_version(monkeypatch, only):
    monkeypatch.setattr(sys, "version", f"{sys.version.split()[0]}+ (heads/3.13:1, May 1 2026) [GCC]")
    assert only(packages.look_at_versions(), "Python").level is Level.OK
