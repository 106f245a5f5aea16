from mocapact_cli.core.clips.published import published_snippets


def test_the_snippets_are_the_papers(test_data):
    wanted = (test_data / "mocap" / "snippets.txt").read_text().split()
    held = [str(snippet) for snippets in published_snippets().values() for snippet in snippets]
    assert sorted(held) == sorted(wanted)


def test_all_clips_are_cut():
    assert len(published_snippets()) == 836
    assert sum(map(len, published_snippets().values())) == 2589
    assert [str(snippet) for snippet in published_snippets()["CMU_009_12"]] == [
        "CMU_009_12-0-198",
        "CMU_009_12-165-363",
        "CMU_009_12-330-529",
    ]
