"""PPO that sees more while it trains than the expert does that comes of it.

An expert must act by what its own body feels. How far it has drifted from its reference shows in the rewards all the
same, and a critic that cannot see it takes the drift for luck, which drowns what an action was worth. So the critic of
training also sees the walker beside its reference, as in the asymmetric actor-critic of Pinto et al. (2018); it is not
part of the expert. A second critic that sees only what the expert sees learns along; the saved expert holds that one.

A policy that is shown how far each part is from where it should be also learns to act sooner than one that has to learn
by heart where that is, step by step. So the actor too may see all, as a teacher: then the expert is a pupil that learns
to do what the teacher would, as in "Learning by Cheating" (Chen et al., 2020); see `.imitation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn
from torch.nn.functional import pad

from mocapact_cli.core.training.ppo.collection import DeferredValuesPPO
from mocapact_cli.core.training.ppo.model import mean_actions
from mocapact_cli.core.training.ppo.surrogate import clipped_surrogate

PRIVILEGED = (
    "walker/reference_rel_bodies_pos_local",
    "walker/reference_rel_root_quat",
    "walker/reference_rel_root_pos_local",
    "walker/reference_rel_joints",
    "walker/body_height",
)
"""Observables that only training sees, after those of the expert."""
_PUPIL_STEP_SIZE = 5e-4


class PrivilegedPolicy(ActorCriticPolicy):
    """Actor, critic, public critic and, where the actor is a teacher, its pupil, each a multi-layer perceptron.

    Args:
        arguments: Those of `ActorCriticPolicy`; its optimizer is the actor's.
        public: Columns of an observation, from the first on, that the expert sees.
        critic_learning_rate: Adam's step size for both critics.
        teacher: The actor sees all columns, and the expert is the pupil; else the actor is the expert.
        options: Further ones of `ActorCriticPolicy`.

    Attributes:
        public_critic: Values (B, 1) by what the expert sees.
        pupil: Mean actions (B, A) by what the expert sees; None without a teacher.
        critic_optimizer: Of both critics.
    """

    def __init__(
        self, *arguments: Any, public: int, critic_learning_rate: float, teacher: bool = False, **options: Any
    ) -> None:
        self.public = public
        self.critic_learning_rate = critic_learning_rate
        self.teacher = teacher
        super().__init__(*arguments, **options)

    def public_values(self, observations: Tensor) -> Tensor:
        """Values (B, 1) of observations (B, P) by their public columns alone."""
        values: Tensor = self.public_critic(observations[:, : self.public])
        return values

    def expert_means(self, observations: Tensor) -> Tensor:
        """Mean actions (B, A) of the expert for observations (B, P), by their public columns alone."""
        seen = observations[:, : self.public]
        means: Tensor = self.action_net(self.mlp_extractor.policy_net(seen)) if self.pupil is None else self.pupil(seen)
        return means

    def expert_weights(self) -> dict[str, Tensor]:
        """Parameters of the expert by the names of Stable-Baselines3: the actor or its pupil, and the public critic."""
        kept = {name: value for name, value in self.state_dict().items() if not name.startswith(_NOT_THE_EXPERTS)}
        kept |= _under(self.public_critic, _CRITIC)
        return kept if self.pupil is None else kept | _under(self.pupil, _ACTOR)

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Become an expert of the same sizes; teacher and critic begin as it, whatever the further columns say."""
        own = self.state_dict()
        # Only the first weights have more columns; nothing flows through the new ones yet.
        widened = {name: pad(value, (0, own[name].shape[-1] - value.shape[-1])) for name, value in weights.items()}
        taken = own | widened | _named(weights, _CRITIC, "public_critic")
        self.load_state_dict(taken if self.pupil is None else taken | _named(weights, _ACTOR, "pupil"))

    def actor_parameters(self) -> list[nn.Parameter]:
        """All that decides on actions in training."""
        return [*self.mlp_extractor.policy_net.parameters(), *self.action_net.parameters(), self.log_std]

    def critic_parameters(self) -> list[nn.Parameter]:
        """All that judges states."""
        critics = (self.mlp_extractor.value_net, self.value_net, self.public_critic)
        return [parameter for critic in critics for parameter in critic.parameters()]

    def _build_mlp_extractor(self) -> None:
        acting = self.features_dim if self.teacher else self.public
        self.mlp_extractor = _Halves(self._hidden("pi", acting), self._hidden("vf", self.features_dim), acting)

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        super()._build(lr_schedule)
        hidden = self._hidden("vf", self.public)
        self.public_critic = nn.Sequential(hidden.value_net, nn.Linear(hidden.latent_dim_vf, 1))
        self.pupil: nn.Sequential | None = None
        if self.teacher:
            hidden = self._hidden("pi", self.public)
            actions = cast("nn.Linear", self.action_net).out_features
            self.pupil = nn.Sequential(hidden.policy_net, nn.Linear(hidden.latent_dim_pi, actions))
        make, options = self.optimizer_class, self.optimizer_kwargs
        self.optimizer = make(self.actor_parameters(), lr=lr_schedule(1), **options)  # type: ignore[call-arg]
        self.critic_optimizer = make(self.critic_parameters(), lr=self.critic_learning_rate, **options)  # type: ignore[call-arg]

    def _hidden(self, half: str, columns: int) -> MlpExtractor:
        sizes = self.net_arch[half] if isinstance(self.net_arch, dict) else self.net_arch
        return MlpExtractor(columns, {half: sizes}, self.activation_fn, self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"public": self.public, "critic_learning_rate": self.critic_learning_rate, "teacher": self.teacher}
        return super()._get_constructor_parameters() | own


_ACTOR = ("mlp_extractor.policy_net.", "action_net.")
_CRITIC = ("mlp_extractor.value_net.", "value_net.")
"""Names of the hidden layers and of the last one in Stable-Baselines3."""
_NOT_THE_EXPERTS = (*_CRITIC, "public_critic.", "pupil.")


def _under(network: nn.Sequential, names: tuple[str, str]) -> dict[str, Tensor]:
    """Parameters of hidden layers and a last one, by other names of both."""
    parts = zip(names, network, strict=True)
    return {f"{prefix}{name}": value for prefix, part in parts for name, value in part.state_dict().items()}


def _named(weights: Mapping[str, Tensor], names: tuple[str, str], network: str) -> dict[str, Tensor]:
    """The other way round: parameters of a network of that name, from those that have other names."""
    return {
        f"{network}.{place}.{name.removeprefix(prefix)}": value
        for place, prefix in enumerate(names)
        for name, value in weights.items()
        if name.startswith(prefix)
    }


class _Halves(MlpExtractor):
    """Hidden layers of an actor that sees the first columns and of a critic that sees all."""

    def __init__(self, actor: MlpExtractor, critic: MlpExtractor, seen: int) -> None:
        nn.Module.__init__(self)
        self.seen = seen
        self.policy_net, self.value_net = actor.policy_net, critic.value_net
        self.latent_dim_pi, self.latent_dim_vf = actor.latent_dim_pi, critic.latent_dim_vf

    def forward_actor(self, features: Tensor) -> Tensor:
        """Latent of the columns that the actor sees."""
        return super().forward_actor(features[:, : self.seen])


class PrivilegedPPO(DeferredValuesPPO):
    """PPO for `PrivilegedPolicy`: actor and critics learn apart, each with a gradient limit of its own."""

    policy: PrivilegedPolicy
    _pupil_optimizer: torch.optim.Optimizer | None = None

    def forget_pupil_gradients(self) -> None:
        """Let the optimizer of the pupil begin anew, as it does where a run is resumed."""
        self._pupil_optimizer = None

    def train(self) -> None:
        """Learn from the collected steps, as `PPO.train` does; the public critic and the pupil see them once."""
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
        if self.policy.pupil is not None:
            self._teach_pupil(self.policy.pupil)
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

    def _teach_pupil(self, pupil: nn.Sequential) -> None:
        """Keep the pupil close to its teacher, so that there is little left to learn when it acts itself."""
        if self._pupil_optimizer is None:
            self._pupil_optimizer = torch.optim.Adam(pupil.parameters(), lr=_PUPIL_STEP_SIZE, fused=True)
        for samples in self.rollout_buffer.get(self.batch_size):
            with torch.no_grad():
                wanted = mean_actions(self.policy, samples.observations)
            loss = nn.functional.mse_loss(self.policy.expert_means(samples.observations), wanted)
            self._step(self._pupil_optimizer, list(pupil.parameters()), loss)

    def _step(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        optimizer.step()
