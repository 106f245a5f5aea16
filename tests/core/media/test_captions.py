import numpy as np

from mocapact_cli.core.media.captions import draw_caption, fitted


def test_a_caption_is_white_on_dark_at_the_top():
    frame = np.full((240, 320, 3), 128, np.uint8)
    captioned = draw_caption(frame, "CMU_016_22-0-82\n1.20 s   reward 0.71")
    assert captioned.shape == frame.shape
    assert captioned[:40].max() > 240
    assert captioned[0, 0].max() < 100
    assert (captioned[120:] == 128).all()


def test_without_words_the_frame_stays():
    frame = np.full((24, 32, 3), 128, np.uint8)
    assert draw_caption(frame, "") is frame


def test_a_caption_below_keeps_its_height_whatever_the_letters():
    frame = np.full((240, 320, 3), 128, np.uint8)
    bands = [(draw_caption(frame, text, size=16, below=True)[:, -1, 0] < 128).nonzero()[0] for text in ("0.80 s", "gy")]
    assert bands[0][0] == bands[1][0] > 180
    assert bands[0][-1] == 239


def test_a_name_that_is_too_long_leaves_room_for_what_follows():
    frame = np.full((60, 240, 3), 128, np.uint8)
    long = "a_recording_with_a_very_long_name_indeed-1021-1200"
    ends = [draw_caption(frame, f"{name}   1.20 s   reward 0.71", size=10) for name in ("short", long)]
    bright = [np.flatnonzero((end[:20] > 200).all(axis=2).any(axis=0)) for end in ends]
    assert bright[0][-1] < 180 < bright[1][-1] < 238
    # The last letters are the same, wherever they begin.
    tails = [end[:16, columns[-1] - 25 : columns[-1]] for end, columns in zip(ends, bright, strict=True)]
    np.testing.assert_array_equal(tails[0], tails[1])


def test_what_is_too_wide_loses_its_middle():
    assert fitted("CMU_016_22-0-82", 400, 16) == "CMU_016_22-0-82"
    short = fitted("a_recording_with_a_very_long_name-0-82", 120, 16)
    assert len(short) < 20
    assert short.startswith("a_rec")
    assert short.endswith("0-82")
    assert "…" in short
