"""PPO that learns on two threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn

from mocapact_cli.core.training.ppo.collection import DeferredValuesPPO
from mocapact_cli.core.training.ppo.surrogate import clipped_surrogate


class SideBySidePPO(DeferredValuesPPO):
    """PPO whose actor and critic compute their gradients at the same time, each on a thread of its own.

    Networks of a few hundred units are too small for PyTorch to divide a product among threads: the second one costs
    as much as it saves. Actor and critic share no weights, so each gradient is what `PPO.train` computes, and the limit
    of the gradient's norm and the step of Adam are those of both together, as there. The critic's thread also gathers
    the next samples.

    With one thread, or on a GPU, it learns as `PPO` does.
    """

    def train(self) -> None:
        """Learn from the collected steps."""
        threads = torch.get_num_threads()
        if threads < 2 or self.device.type != "cpu":
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        told: dict[str, list[Tensor]] = {}
        with _second_thread(threads) as second:
            for _ in range(self.n_epochs):
                # As in Stable-Baselines3, the divergence that is told is that of the last pass.
                told["approx_kl"] = []
                finished = self._pass(second, told)
                self._n_updates += 1
                if not finished:
                    break
        self._tell(told)

    def _pass(self, second: ThreadPoolExecutor, told: dict[str, list[Tensor]]) -> bool:
        """Go once through the samples; false if the policy had gone too far from the one that acted."""
        clip_range: float = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        batches = self.rollout_buffer.get(self.batch_size)
        samples = next(batches, None)
        while samples is not None:
            self.policy.optimizer.zero_grad()
            judged = second.submit(self._judge, samples)
            upcoming = second.submit(next, batches, None)
            step = clipped_surrogate(self.policy, samples, clip_range)
            torch.autograd.backward(step.loss)
            seen = {
                "approx_kl": step.divergence,
                "policy_gradient_loss": step.loss.detach(),
                "clip_fraction": step.clipped_share,
                "value_loss": judged.result(),
            }
            for name, value in seen.items():
                told.setdefault(name, []).append(value)
            samples = upcoming.result()
            if self.target_kl is not None and float(step.divergence) > 1.5 * self.target_kl:
                return False
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        return True

    def _tell(self, told: Mapping[str, Sequence[Tensor]]) -> None:
        judged, came = self.rollout_buffer.values.ravel(), self.rollout_buffer.returns.ravel()
        for name, values in told.items():
            self.logger.record(f"train/{name}", float(torch.stack(tuple(values)).mean()))
        self.logger.record("train/std", float(self.policy.log_std.detach().exp().mean()))
        self.logger.record("train/explained_variance", explained_variance(judged, came))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _judge(self, samples: RolloutBufferSamples) -> Tensor:
        """Add the gradient of the value loss; returns the loss."""
        loss = nn.functional.mse_loss(samples.returns, self.policy.predict_values(samples.observations)[:, 0])
        torch.autograd.backward(self.vf_coef * loss)
        return loss.detach()


@contextmanager
def _second_thread(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Share PyTorch's threads between this thread and another one, which it gives."""
    others = threads // 2
    with ThreadPoolExecutor(1, "critic", initializer=lambda: torch.set_num_threads(others)) as pool:
        torch.set_num_threads(threads - others)
        try:
            yield pool
        finally:
            torch.set_num_threads(threads)
