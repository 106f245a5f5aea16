"""The trainer that distillation and its benchmark share."""

import logging
import warnings
from dataclasses import replace

import pytest
import pytorch_lightning as lightning

from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.trainer import end_launched, make_trainer, quiet_lightning

CONFIG = DistillConfig(device="cpu", gradient_clip=0.5)


@pytest.mark.parametrize(("ours", "theirs"), [("32", "32-true"), ("bf16", "bf16-mixed")])
def test_settings_become_lightnings_and_the_callback_is_the_only_one_that_is_ours(ours, theirs):
    callback = lightning.Callback()
    with quiet_lightning():
        trainer = make_trainer(replace(CONFIG, precision=ours), 7, callback)
    assert (trainer.max_steps, trainer.gradient_clip_val, trainer.precision) == (7, 0.5, theirs)
    assert callback in trainer.callbacks
    assert (trainer.loggers, trainer.checkpoint_callbacks, trainer.progress_bar_callback) == ([], [], None)
    assert trainer.world_size == 1
    end_launched(trainer)


def test_where_no_trainer_was_made_there_is_nothing_to_end():
    end_launched(None)


def test_lightning_speaks_again_afterwards():
    logger = logging.getLogger("pytorch_lightning")
    level, filters = logger.level, list(warnings.filters)
    with pytest.raises(KeyError), quiet_lightning():
        assert not logger.isEnabledFor(logging.WARNING)
        raise KeyError
    assert (logger.level, warnings.filters) == (level, filters)
