"""A causal transformer that continues a motion: a window of observations in, the mean action of each step out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.distilled import DistilledPolicy, PolicyConfig, check_state
from mocapact_cli.core.policies.losses import gaussian_log_prob, masked_mse, step_mask
from mocapact_cli.core.policies.networks import MAX_LAYERS, check_widths
from mocapact_cli.core.policies.row_blocks import ROW_BLOCK
from mocapact_cli.core.sim.observables import HIGH_LEVEL_SANS_REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mocapact_cli.core.policies.losses import Metrics, TrainingBatch

_ALL = "policy"
_INIT_STD = 0.02


@dataclass(frozen=True)
class GptConfig(PolicyConfig):
    """A transformer over windows of observations; names of the sizes are nanoGPT's."""

    observables: tuple[str, ...] = HIGH_LEVEL_SANS_REFERENCE
    """What it sees at each step."""
    block_size: int = 32
    """Longest window, in steps."""
    n_layer: int = 8
    """Number of blocks."""
    n_head: int = 8
    """Attention heads."""
    n_embd: int = 768
    """Width."""
    embd_pdrop: float = 0.1
    """Dropout of the embedded observations."""
    resid_pdrop: float = 0.1
    """Dropout of what blocks add."""
    attn_pdrop: float = 0.1
    """Dropout of attention."""
    obs_noise: float = 0.0
    """Standard deviation of noise on normalized observations in training: who is a little off does the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(block_size=self.block_size, n_layer=self.n_layer, n_head=self.n_head, n_embd=self.n_embd)
        if self.n_embd % self.n_head or self.n_layer > MAX_LAYERS:
            raise UsageError(
                f"A GPT of {self.n_layer} layers, {self.n_head} heads and width {self.n_embd} is not built."
            )
        if not all(0.0 <= rate < 1.0 for rate in (self.embd_pdrop, self.resid_pdrop, self.attn_pdrop)):
            raise UsageError("Dropout rates lie between 0 and 1.")
        if self.obs_noise < 0.0:
            raise UsageError(f"A standard deviation of {self.obs_noise} is impossible.", hint="Give zero or more.")


class ContextState(NamedTuple):
    """What a GPT remembers of B environments.

    Attributes:
        context: (B, block, P) the last normalized observations, oldest first.
        fill: (B,) how many of them count.
    """

    context: NDArray[np.float32]
    fill: NDArray[np.int64]


class CachedContext(ContextState):
    """A context with what acting has computed of it: it need not be computed again while it grows.

    Positions are absolute, so keys and values hold as long as no step moves to another place. Once a context is full,
    each new step moves all others, and everything is computed anew.

    Attributes:
        cache: (layers, 2, B, heads, block, size) keys and values of the steps that `fill` counts.
    """

    cache: Tensor

    @classmethod
    def of(cls, context: NDArray[np.float32], fill: NDArray[np.int64], cache: Tensor) -> CachedContext:
        """Put it together."""
        result = cls(context, fill)
        result.cache = cache
        return result


class Attention(nn.Module):
    """Attention to this step and those before it."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.key, self.query, self.value, self.proj = (nn.Linear(config.n_embd, config.n_embd) for _ in range(4))
        self.heads, self.dropout = config.n_head, config.attn_pdrop
        self.resid_drop = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) for (B, L, width)."""
        query, key, value = (self._heads(layer(x)) for layer in (self.query, self.key, self.value))
        dropout = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return cast("Tensor", self.resid_drop(self.proj(seen.transpose(1, 2).reshape(x.shape))))

    def extend(self, x: Tensor, cache: Tensor, place: Tensor) -> Tensor:
        """Return (B, width) for the newest step (B, width); its keys and values are put into the cache.

        Args:
            x: The step.
            cache: (2, B, heads, block, size) keys and values of the steps before it.
            place: (B,) its position.
        """
        rows, places = torch.arange(len(x), device=x.device), torch.arange(cache.shape[3], device=x.device)
        query, key, value = (layer(x).view(len(x), self.heads, -1) for layer in (self.query, self.key, self.value))
        cache[0, rows, :, place], cache[1, rows, :, place] = key, value
        seen = (places <= place[:, None])[:, None, None]
        found = functional.scaled_dot_product_attention(query[:, :, None], cache[0], cache[1], attn_mask=seen)
        return cast("Tensor", self.proj(found.reshape(x.shape)))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a perceptron at each step; both see normalized inputs and add to what they got."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        width = config.n_embd
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(config.resid_pdrop)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) for (B, L, width)."""
        x = x + self.attn(self.ln1(x))
        return cast("Tensor", x + self.mlp(self.ln2(x)))

    def extend(self, x: Tensor, cache: Tensor, place: Tensor) -> Tensor:
        """Return (B, width) for the newest step, as `Attention.extend` does."""
        x = x + self.attn.extend(self.ln1(x), cache, place)
        return cast("Tensor", x + self.mlp(self.ln2(x)))


class Transformer(nn.Module):
    """Embeds observations and positions, and reads the actions off the last block."""

    def __init__(self, obs_size: int, config: GptConfig) -> None:
        super().__init__()
        self.tok_emb = nn.Linear(obs_size, config.n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, config.n_embd))
        self.drop = nn.Dropout(config.embd_pdrop)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.n_layer)))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.act_size, bias=False)
        self.apply(_initialize)

    def forward(self, features: Tensor) -> Tensor:
        """Return mean actions (B, L, A) for normalized observations (B, L, P)."""
        embedded = self.drop(self.tok_emb(features) + self.pos_emb[:, : features.shape[1]])
        return cast("Tensor", self.head(self.ln_f(self.blocks(embedded))))

    def extend(self, features: Tensor, cache: Tensor, place: Tensor) -> Tensor:
        """Return mean actions (B, A) for the newest normalized observations (B, P).

        Args:
            features: The observations.
            cache: (layers, 2, B, heads, block, size) keys and values of the steps before; theirs are put into it.
            place: (B,) how many steps there are before.
        """
        x = self.tok_emb(features) + self.pos_emb[0, place]
        for block, kept in zip(self.blocks, cache, strict=True):
            x = cast("Block", block).extend(x, kept, place)
        return cast("Tensor", self.head(self.ln_f(x)))


class GptPolicy(DistilledPolicy):
    """Sees its own body only; what it is to do follows from the window of the last steps, at first a prompt."""

    model = "gpt"
    sums_over_batch = True
    config: GptConfig

    def __init__(self, config: GptConfig) -> None:
        super().__init__(config, {_ALL: config.observables})
        self.gpt = Transformer(self.obs_size, config)

    @property
    def window(self) -> int:
        """Steps of a training sample."""
        return self.config.block_size

    def forward(self, observations: Tensor) -> Tensor:
        """Return the mean actions (B, L, A) for windows (B, L, P) that are not normalized."""
        return self._bounded(self.gpt(self.features(_ALL, observations)))

    def loss(self, batch: TrainingBatch) -> tuple[Tensor, Metrics]:
        """Return the negative log-probability, each window weighted as its last step, summed over the batch.

        Raises:
            UsageError: The batch is of single steps, or of windows longer than the block.
        """
        if batch.actions.ndim != 3 or batch.actions.shape[1] > self.config.block_size:
            raise UsageError(f"A GPT learns from windows of up to {self.config.block_size} steps.")
        features = self.features(_ALL, batch.observations)
        if self.training and self.config.obs_noise > 0.0:
            features = features + self.config.obs_noise * torch.randn_like(features)
        means = self._bounded(self.gpt(features))
        mask = step_mask(batch.actions, batch.lengths)
        log_probs = (gaussian_log_prob(batch.actions, means, self.config.std_dev) * mask).sum(1)
        last = (mask.sum(1).long() - 1).clamp(min=0)
        loss = -(batch.weights.gather(1, last[:, None])[:, 0] * log_probs).sum()
        return loss, {"loss": loss.detach(), "mse": masked_mse(batch.actions, means, mask).detach()}

    def step(self, observations: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Return mean actions (B, A), contexts (B, block, P) and fills (B,) for observations and the last of these."""
        context, place, here = self._extended(self.features(_ALL, observations), *state)
        actions = (self.gpt(context) * here[:, :, None]).sum(1)
        return self._bounded(actions), context, place + 1

    def initial_state(self, batch_size: int, deterministic: bool = True) -> ContextState:  # noqa: ARG002
        """Return empty contexts."""
        shape = (batch_size, self.config.block_size, self.obs_size)
        return ContextState(np.zeros(shape, np.float32), np.zeros(batch_size, np.int64))

    def reset_state(self, state: Any, started: NDArray[np.bool_], deterministic: bool = True) -> Any:  # noqa: ARG002
        """Return `state` with empty contexts where an episode has `started` (B,)."""
        if state is None:
            return None
        fill = np.where(started, 0, state[1])
        if isinstance(state, CachedContext):
            return CachedContext.of(state[0], fill, state.cache)
        return ContextState(state[0], fill)

    def parameter_groups(self, weight_decay: float = 0.1) -> list[dict[str, Any]]:
        """Return the matrices, which decay, and the rest, which does not: biases, norms and positions."""
        matrices = {id(layer.weight) for layer in self.modules() if isinstance(layer, nn.Linear)}
        decayed = [value for value in self.parameters() if id(value) in matrices]
        others = [value for value in self.parameters() if id(value) not in matrices]
        return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]

    def _bounded(self, actions: Tensor) -> Tensor:
        return actions.tanh() if self.config.squash_output else actions

    def _extended(self, features: Tensor, context: Tensor, fill: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the contexts with the newest step, its place (B,), and that place as (B, block) truths."""
        last = self.config.block_size - 1
        place = fill.clamp(max=last)
        here = torch.arange(last + 1, device=fill.device) == place[:, None]
        full = (fill > last)[:, None, None]
        shifted = torch.where(full, torch.cat([context[:, 1:], context[:, :1]], dim=1), context)
        return torch.where(here[:, :, None], features[:, None], shifted), place, here

    def _act(self, rows: Tensor, state: Any, deterministic: bool) -> tuple[Tensor, Any]:
        given = self.initial_state(len(rows)) if state is None else state
        check_state(np.shape(given[0]), (len(rows), self.config.block_size, self.obs_size))
        context, fill = (torch.as_tensor(part, device=rows.device) for part in given)
        cache = self._empty_cache(len(rows)) if state is None else getattr(given, "cache", None)
        with self._dropout(active=not deterministic):
            if cache is not None and deterministic:
                return self._act_with_cache(rows, context, fill, cache)
            actions, context, fill = self.step(rows, context, fill)
        return actions, ContextState(context.cpu().numpy(), fill.cpu().numpy())

    def _act_with_cache(
        self, rows: Tensor, context: Tensor, fill: Tensor, cache: Tensor
    ) -> tuple[Tensor, CachedContext]:
        features = self.features(_ALL, rows)
        full = fill >= self.config.block_size
        context, place, _ = self._extended(features, context, fill)
        actions = features.new_zeros(len(rows), self.config.act_size)
        growing, filled = _whole_blocks(~full), _whole_blocks(full)
        if len(growing):
            # Copied, so that the state before can be gone on from once more.
            theirs = cache[:, :, growing]
            actions[growing] = self.gpt.extend(features[growing], theirs, place[growing])
            cache = cache.clone()
            cache[:, :, growing] = theirs
        if len(filled):
            actions[filled] = self.gpt(context[filled])[:, -1]
        kept = CachedContext.of(context.cpu().numpy(), (place + 1).cpu().numpy(), cache)
        return self._bounded(actions), kept

    def _empty_cache(self, batch_size: int) -> Tensor:
        config = self.config
        shape = (config.n_layer, 2, batch_size, config.n_head, config.block_size, config.n_embd // config.n_head)
        return torch.zeros(shape, device=self.device)

    @contextlib.contextmanager
    def _dropout(self, *, active: bool) -> Iterator[None]:
        """Switch dropout on or off inside the block; its draws follow from the policy's seed."""
        before = self.training
        self.train(active)
        try:
            devices = [self.device] if self.device.type == "cuda" else []
            with torch.random.fork_rng(devices, enabled=active):
                if active:
                    torch.manual_seed(int(self._rng.integers(1 << 62)))
                yield
        finally:
            self.train(before)


def _whole_blocks(chosen: Tensor) -> Tensor:
    """Return the numbers of the chosen rows, the last one repeated up to whole blocks, whose results are alike."""
    rows = chosen.nonzero()[:, 0]
    missing = -len(rows) % ROW_BLOCK
    return torch.cat([rows, rows[-1:].expand(missing)]) if missing else rows


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=_INIT_STD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
