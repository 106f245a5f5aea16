"""PPO whose critic sees more than its actor.

An expert must act by what its own body feels. How far it has drifted from its reference shows in the rewards all the
same, and a critic that cannot see it takes the drift for luck, which drowns what an action was worth. So the critic of
training also sees the walker beside its reference, as in the asymmetric actor-critic of Pinto et al. (2018); it is not
part of the expert. A second critic that sees only what the actor sees learns along, and is what the saved expert holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn
from torch.nn.functional import pad

from mocapact_cli.core.training.ppo.collection import DeferredValuesPPO
from mocapact_cli.core.training.ppo.surrogate import clipped_surrogate

PRIVILEGED = (
    "walker/reference_rel_bodies_pos_local",
    "walker/reference_rel_root_quat",
    "walker/reference_rel_root_pos_local",
    "walker/reference_rel_joints",
    "walker/body_height",
)
"""Observables that only the critic of training sees, after those of the actor."""


class PrivilegedPolicy(ActorCriticPolicy):
    """Actor, critic and public critic, each a multi-layer perceptron.

    Args:
        arguments: Those of `ActorCriticPolicy`; its optimizer is the actor's.
        public: Columns of an observation, from the first on, that the actor and the public critic see.
        critic_learning_rate: Adam's step size for both critics.
        options: Further ones of `ActorCriticPolicy`.

    Attributes:
        public_critic: Values (B, 1) by what the actor sees.
        critic_optimizer: Of both critics.
    """

    def __init__(self, *arguments: Any, public: int, critic_learning_rate: float, **options: Any) -> None:
        self.public = public
        self.critic_learning_rate = critic_learning_rate
        super().__init__(*arguments, **options)

    def public_values(self, observations: Tensor) -> Tensor:
        """Values (B, 1) of observations (B, P) by their public columns alone."""
        values: Tensor = self.public_critic(observations[:, : self.public])
        return values

    def expert_weights(self) -> dict[str, Tensor]:
        """Parameters of the expert, by the names of Stable-Baselines3: the actor and the public critic."""
        kept = {name: value for name, value in self.state_dict().items() if not name.startswith(_CRITICS)}
        hidden, head = (part.state_dict() for part in self.public_critic)
        kept |= {f"{_HIDDEN}{name}": value for name, value in hidden.items()}
        return kept | {f"{_HEAD}{name}": value for name, value in head.items()}

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Become an expert of the same sizes; both critics begin as its critic, whatever the further columns say."""
        hidden = {name.removeprefix(_HIDDEN): value for name, value in weights.items() if name.startswith(_HIDDEN)}
        head = {name.removeprefix(_HEAD): value for name, value in weights.items() if name.startswith(_HEAD)}
        public = {f"public_critic.0.{name}": value for name, value in hidden.items()}
        public |= {f"public_critic.1.{name}": value for name, value in head.items()}
        own = self.state_dict()
        # Only the first weights of the critic of training have more columns; nothing flows through the new ones yet.
        widened = {name: pad(value, (0, own[name].shape[-1] - value.shape[-1])) for name, value in weights.items()}
        self.load_state_dict(own | widened | public)

    def actor_parameters(self) -> list[nn.Parameter]:
        """All that decides on actions."""
        return [*self.mlp_extractor.policy_net.parameters(), *self.action_net.parameters(), self.log_std]

    def critic_parameters(self) -> list[nn.Parameter]:
        """All that judges states."""
        critics = (self.mlp_extractor.value_net, self.value_net, self.public_critic)
        return [parameter for critic in critics for parameter in critic.parameters()]

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = _Halves(
            self._hidden("pi", self.public), self._hidden("vf", self.features_dim), self.public
        )

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        super()._build(lr_schedule)
        hidden = self._hidden("vf", self.public)
        self.public_critic = nn.Sequential(hidden.value_net, nn.Linear(hidden.latent_dim_vf, 1))
        make, options = self.optimizer_class, self.optimizer_kwargs
        self.optimizer = make(self.actor_parameters(), lr=lr_schedule(1), **options)  # type: ignore[call-arg]
        self.critic_optimizer = make(self.critic_parameters(), lr=self.critic_learning_rate, **options)  # type: ignore[call-arg]

    def _hidden(self, half: str, columns: int) -> MlpExtractor:
        sizes = self.net_arch[half] if isinstance(self.net_arch, dict) else self.net_arch
        return MlpExtractor(columns, {half: sizes}, self.activation_fn, self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"public": self.public, "critic_learning_rate": self.critic_learning_rate}
        return super()._get_constructor_parameters() | own


_HIDDEN, _HEAD = "mlp_extractor.value_net.", "value_net."
_CRITICS = (_HIDDEN, _HEAD, "public_critic.")


class _Halves(MlpExtractor):
    """Hidden layers of an actor that sees the first columns and of a critic that sees all."""

    def __init__(self, actor: MlpExtractor, critic: MlpExtractor, public: int) -> None:
        nn.Module.__init__(self)
        self.public = public
        self.policy_net, self.value_net = actor.policy_net, critic.value_net
        self.latent_dim_pi, self.latent_dim_vf = actor.latent_dim_pi, critic.latent_dim_vf

    def forward_actor(self, features: Tensor) -> Tensor:
        """Latent of the public columns."""
        return super().forward_actor(features[:, : self.public])


class PrivilegedPPO(DeferredValuesPPO):
    """PPO for `PrivilegedPolicy`: actor and critics learn apart, each with a gradient limit of its own."""

    policy: PrivilegedPolicy

    def train(self) -> None:
        """Learn from the collected steps, as `PPO.train` does; the public critic sees them once."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        # Kept on the device until the end: reading one waits for all that a GPU has been given to do.
        divergences: list[Tensor] = []
        losses: list[Tensor] = []
        for epoch in range(self.n_epochs):
            for samples in self.rollout_buffer.get(self.batch_size):
                losses.append(self._teach_critics(samples, public=epoch == 0))
                divergences.append(self._teach_actor(samples, clip_range))
            self._n_updates += 1
        judged, came = self.rollout_buffer.values.ravel(), self.rollout_buffer.returns.ravel()
        self.logger.record("train/approx_kl", float(torch.stack(divergences).mean()))
        self.logger.record("train/value_loss", float(torch.stack(losses).mean()))
        self.logger.record("train/explained_variance", explained_variance(judged, came))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _teach_critics(self, samples: RolloutBufferSamples, *, public: bool) -> Tensor:
        policy = self.policy
        values = policy.predict_values(samples.observations)[:, 0]
        loss = nn.functional.mse_loss(values, samples.returns)
        total = loss
        if public:
            guessed = policy.public_values(samples.observations)[:, 0]
            total = loss + nn.functional.mse_loss(guessed, samples.returns)
        self._step(policy.critic_optimizer, policy.critic_parameters(), total)
        return loss.detach()

    def _teach_actor(self, samples: RolloutBufferSamples, clip_range: float) -> Tensor:
        """One step on PPO's clipped surrogate; returns the divergence from the policy that acted."""
        objective = clipped_surrogate(self.policy, samples, clip_range)
        self._step(self.policy.optimizer, self.policy.actor_parameters(), objective.loss)
        return objective.divergence

    def _step(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        optimizer.step()
