"""A program that learns in several processes; Lightning starts it once more for each of the others.

Arguments: folder of rollouts, folder of runs, number of processes, steps, and "resume" to go on.
"""

import sys
from pathlib import Path

import torch

from mocapact_cli.core.config import apply_overrides
from mocapact_cli.core.policies.embedding import EmbeddingPolicy
from mocapact_cli.core.policies.zoo import preset
from mocapact_cli.core.training.distillation import monitor
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.data import divide
from mocapact_cli.core.training.distillation.train import distill

CASES = {
    "mlp-reference": ("rwr", {"layers": [16]}),
    "hierarchical": ("awr", {"encoder_layers": [16], "decoder_layers": [16], "embed_size": 4}),
    "npmp": ("cwr", {"encoder_layers": [16], "decoder_layers": [16], "embed_size": 4, "seq_steps": 6}),
    "gpt": ("rwr", {"n_layer": 1, "n_head": 2, "n_embd": 8, "block_size": 4} | dict.fromkeys(
        ("embd_pdrop", "resid_pdrop", "attn_pdrop"), 0.0
    )),
}  # fmt: skip


def no_noise(self, batch):
    """Return the embeddings' noise as zeros: processes draw for themselves, which a single one cannot repeat."""
    return torch.zeros(batch.actions.shape[1] + 1, batch.actions.shape[0], self.embed_size)


def keep_weights(folder):
    """Write the weights of every process."""

    def on_train_end(self, trainer, module):
        torch.save(module.policy.state_dict(), folder / f"{module.policy.model}-{trainer.global_rank}.pt")

    monitor.StepCounter.on_train_end = on_train_end


def learn(data, runs, processes, steps, *, resume=False):
    """Learn every case."""
    for model, (weighting, sizes) in CASES.items():
        config = DistillConfig(
            model=model, weighting=weighting, batch_size=16, max_steps=steps, devices=processes, device="cpu",
            n_eval_episodes=0, threads=1, seed=3, learning_rate=1e-3,
        )  # fmt: skip
        files = sorted(data.glob("*.hdf5"))
        distill(divide(files), config, apply_overrides(preset(model), sizes), runs / model, resume=resume)


if __name__ == "__main__":
    torch.randn_like = torch.zeros_like
    EmbeddingPolicy.draw_noise = no_noise
    keep_weights(Path(sys.argv[2]))
    learn(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), resume="resume" in sys.argv)
