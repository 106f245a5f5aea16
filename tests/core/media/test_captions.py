import numpy as np

from mocapact_cli.core.media.captions import draw_caption


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
