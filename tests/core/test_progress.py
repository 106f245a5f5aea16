from mocapact_cli.core.progress import NullProgress, Progress


def test_null_progress_takes_everything_and_says_nothing(capsys):
    progress: Progress = NullProgress()
    with progress.task("Work", total=3, unit="steps") as task:
        task.advance()
        task.update(completed=2, total=4, description="More", reward="0.7")
    progress.message("done")
    assert capsys.readouterr() == ("", "")
