"""The expert: a Gaussian policy and a value function, each a multi-layer perceptron over normalized observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from mocapact_cli.core.errors import InvalidInputError, UsageError, first_line
from mocapact_cli.core.policies.base import Float32Array, Observations, flatten
from mocapact_cli.core.policies.networks import activation_name, hidden_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    StateDict = Mapping[str, Tensor]


@dataclass(frozen=True)
class Normalizer:
    """Statistics by which Stable-Baselines3's VecNormalize normalizes observations and rewards.

    Observation o becomes clip((o - mean) / sqrt(var + epsilon), -clip_obs, clip_obs); a reward is divided by
    sqrt(return_var + epsilon), so a value in units of the environment's reward is the network's times that root.

    Attributes:
        mean: (P,) mean of the observations.
        var: (P,) variance of the observations.
        count: Observations behind the statistics.
        return_mean: Mean of the discounted returns.
        return_var: Variance of the discounted returns.
        return_count: Returns behind the statistics.
        clip_obs: Limit of normalized observations.
        clip_reward: Limit of normalized rewards.
        epsilon: Added to variances.
        gamma: Discount of the returns.
    """

    mean: NDArray[np.float64]
    var: NDArray[np.float64]
    count: float = 1e-4
    return_mean: float = 0.0
    return_var: float = 1.0
    return_count: float = 1e-4
    clip_obs: float = 10.0
    clip_reward: float = 10.0
    epsilon: float = 1e-8
    gamma: float = 0.95

    @classmethod
    def identity(cls, size: int) -> Normalizer:
        """Return the statistics of VecNormalize before it has seen anything."""
        return cls(np.zeros(size), np.ones(size))

    @property
    def return_scale(self) -> float:
        """What a normalized value is multiplied by."""
        return float(np.sqrt(self.return_var + self.epsilon))


class ExpertNetwork(nn.Module):
    """Actor, critic and log standard deviation, with the parameter names of Stable-Baselines3's ActorCriticPolicy.

    Args:
        obs_size: P, columns of an observation.
        act_size: Number of actions.
        actor: Widths of the actor's hidden layers.
        critic: Widths of the critic's hidden layers.
        activation: Name of the activation, one of `networks.ACTIVATIONS`.
        log_std: Initial log standard deviation of all actions.
    """

    def __init__(
        self,
        obs_size: int,
        act_size: int,
        actor: Sequence[int],
        critic: Sequence[int],
        *,
        activation: str = "Tanh",
        log_std: float = float(np.log(0.1)),
    ) -> None:
        super().__init__()
        self.activation = activation_name(activation)
        self.log_std = nn.Parameter(torch.full((act_size,), log_std))
        self.mlp_extractor = nn.ModuleDict(
            {
                "policy_net": nn.Sequential(*hidden_layers([obs_size, *actor], self.activation)),
                "value_net": nn.Sequential(*hidden_layers([obs_size, *critic], self.activation)),
            }
        )
        self.action_net = nn.Linear(actor[-1] if actor else obs_size, act_size)
        self.value_net = nn.Linear(critic[-1] if critic else obs_size, 1)

    @classmethod
    def from_state_dict(cls, state: StateDict, activation: str = "Tanh") -> ExpertNetwork:
        """Build the network whose parameters are given, whatever its widths; it shares them.

        Raises:
            InvalidInputError: The parameters are not those of an actor-critic perceptron.
        """
        try:
            actor, critic = _widths(state, "mlp_extractor.policy_net"), _widths(state, "mlp_extractor.value_net")
            act_size = state["action_net.weight"].shape[0]
            first = state["mlp_extractor.policy_net.0.weight"] if actor else state["action_net.weight"]
            # Without parameters of its own, which would be drawn at random and thrown away.
            with torch.device("meta"):
                network = cls(first.shape[1], act_size, actor, critic, activation=activation)
            own = {name: tensor.to(torch.float32) for name, tensor in state.items()}
            network.load_state_dict(own, assign=True)
        except (KeyError, IndexError, AttributeError, TypeError, RuntimeError) as error:
            raise InvalidInputError(f"The parameters are not those of an expert: {first_line(error)}.") from error
        return network

    @property
    def actor_widths(self) -> list[int]:
        """Widths of the actor's hidden layers."""
        return _layer_widths(self.mlp_extractor["policy_net"])

    @property
    def critic_widths(self) -> list[int]:
        """Widths of the critic's hidden layers."""
        return _layer_widths(self.mlp_extractor["value_net"])

    def mean_actions(self, observations: Tensor) -> Tensor:
        """Return the actor's means (B, A) for normalized observations (B, P)."""
        return cast("Tensor", self.action_net(self.mlp_extractor["policy_net"](observations)))

    def values(self, observations: Tensor) -> Tensor:
        """Return the critic's values (B,) for normalized observations (B, P), in units of the normalized reward."""
        return cast("Tensor", self.value_net(self.mlp_extractor["value_net"](observations))).squeeze(-1)


class ExpertPolicy:
    """Tracks one snippet; sees its own body and the time in the clip.

    Args:
        network: Actor and critic.
        normalizer: Statistics of the observations and rewards it was trained with.
        observables: Names of what it sees, in the order of its flat observations.
        ref_steps: Steps ahead at which its reference observables look.
        device: Where the network runs.
        seed: Of the actions drawn by `predict(..., deterministic=False)`.
    """

    def __init__(
        self,
        network: ExpertNetwork,
        normalizer: Normalizer,
        observables: Sequence[str],
        *,
        ref_steps: Sequence[int] = (0,),
        device: str = "cpu",
        seed: int | None = None,
    ) -> None:
        obs_size = _input_size(network)
        if normalizer.mean.shape != (obs_size,) or normalizer.var.shape != (obs_size,):
            raise InvalidInputError(
                f"The normalizer is for {len(normalizer.mean)} columns, the network for {obs_size}.",
                hint="The model and its normalizer belong to different experts.",
            )
        self.network = network.to(device).eval().requires_grad_(False)
        self.normalizer = normalizer
        self.observables = tuple(observables)
        self.ref_steps = tuple(ref_steps)
        self.device = torch.device(device)
        self._rng = np.random.default_rng(seed)
        # In float64 as VecNormalize does it: a nearly constant column divides by 1e-4.
        self._mean = torch.as_tensor(normalizer.mean, dtype=torch.float64, device=device)
        self._scale = torch.as_tensor(np.sqrt(normalizer.var + normalizer.epsilon), dtype=torch.float64, device=device)

    @classmethod
    def fresh(
        cls,
        observables: Sequence[str],
        obs_size: int,
        *,
        layers: Sequence[int] = (1024, 1024, 1024),
        activation: str = "Tanh",
        act_size: int = 56,
        std: float = 0.1,
        seed: int = 0,
    ) -> ExpertPolicy:
        """Return an expert with random parameters and no statistics yet."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = ExpertNetwork(
                obs_size, act_size, layers, layers, activation=activation, log_std=float(np.log(std))
            )
        return cls(network, Normalizer.identity(obs_size), observables, seed=seed)

    @property
    def obs_size(self) -> int:
        """P, columns of a flat observation."""
        return len(self.normalizer.mean)

    @property
    def std(self) -> Float32Array:
        """(A,) standard deviation of the actions."""
        return cast("Float32Array", self.network.log_std.exp().cpu().numpy())

    def predict(
        self, observations: Observations, state: Any = None, deterministic: bool = True
    ) -> tuple[Float32Array, Any]:
        """Return the actions in [-1, 1], (B, A), and `state` as it came (an expert has none).

        Args:
            observations: By name or flat, (B, P), or (P,) for one environment.
            state: Ignored.
            deterministic: Whether to return the mean; otherwise one draw around it.
        """
        means = self.mean_actions(observations)
        actions = means if deterministic else means + self.std * self._rng.standard_normal(means.shape, np.float32)
        return np.clip(actions, -1.0, 1.0), state

    def mean_actions(self, observations: Observations) -> Float32Array:
        """Return the mean actions (B, A), not clipped."""
        with torch.inference_mode():
            means = self.network.mean_actions(self._normalized(observations))
        return cast("Float32Array", means.cpu().numpy())

    def values(self, observations: Observations) -> Float32Array:
        """Return the values (B,) in units of the environment's reward."""
        with torch.inference_mode():
            values = self.network.values(self._normalized(observations)) * self.normalizer.return_scale
        return cast("Float32Array", values.cpu().numpy())

    def _normalized(self, observations: Observations) -> Tensor:
        flat = flatten(observations, self.observables)
        if flat.shape[-1:] != (self.obs_size,):
            raise UsageError(f"The observations have shape {flat.shape}, the expert sees {self.obs_size} columns.")
        tensor = torch.from_numpy(np.ascontiguousarray(flat)).to(self.device)
        limit = self.normalizer.clip_obs
        return tensor.double().sub_(self._mean).div_(self._scale).clamp_(-limit, limit).float()


def _layer_widths(layers: nn.Module) -> list[int]:
    return [layer.out_features for layer in layers.children() if isinstance(layer, nn.Linear)]


def _widths(state: StateDict, prefix: str) -> list[int]:
    """Return the hidden widths that the parameters under `prefix` imply."""
    widths: list[int] = []
    while (weight := state.get(f"{prefix}.{2 * len(widths)}.weight")) is not None:
        widths.append(int(weight.shape[0]))
    return widths


def _input_size(network: ExpertNetwork) -> int:
    layers = [layer for layer in network.mlp_extractor["policy_net"].children() if isinstance(layer, nn.Linear)]
    return (layers[0] if layers else network.action_net).in_features
