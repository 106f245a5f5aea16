import pytest

from mocapact_cli.core.bench.startup import measure_startup


@pytest.mark.benchmark
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_program_answers_within_a_fifth_of_a_second_of_cpu(option):
    (cost,) = measure_startup([[option]])
    assert cost.cpu_s < 0.2
