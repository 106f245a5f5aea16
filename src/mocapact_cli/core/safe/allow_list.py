"""Every name that a pickle may hold, by kind of file, and what stands for it.

The list is that of the published files, and of those that mocapact and the libraries below it write now. A pickle that
names anything else is refused as a whole, before any of it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.safe import stand_ins
from mocapact_cli.core.safe.stand_ins import Inert

if TYPE_CHECKING:
    from collections.abc import Mapping

_CORES = ("numpy.core", "numpy._core")
"""NumPy 1, as published, and NumPy 2, as written here."""
STORAGES: Mapping[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
"""Published tensors are all float32; those of training here are of other types too."""


def _inert(*names: str) -> dict[str, object]:
    return dict.fromkeys(names, Inert)


ARRAYS: Mapping[str, object] = {
    **{f"{core}.multiarray._reconstruct": stand_ins.reconstruct for core in _CORES},
    **{f"{core}.multiarray.scalar": stand_ins.scalar for core in _CORES},
    **{f"{core}.numeric._frombuffer": stand_ins.from_buffer for core in _CORES},
    "numpy.ndarray": stand_ins.Array,
    "numpy.dtype": stand_ins.DType,
    "_codecs.encode": stand_ins.bytes_of,
    # What NumPy writes for arrays without elements where `_codecs.encode` stands for the bytes of others.
    "__builtin__.bytes": stand_ins.bytes_of,
    "collections.OrderedDict": stand_ins.table,
}
"""NumPy's arrays and numbers."""
METRICS: Mapping[str, object] = {
    **ARRAYS,
    # `dataset_metrics.npz` is written here by names that NumPy 1 and 2 share.
    "numpy.frombuffer": stand_ins.from_buffer,
    "numpy.array": stand_ins.array_of,
    "builtins.bytearray": stand_ins.bytes_of,
}
"""`dataset_metrics.npz`."""
_SPACES = _inert("gym.spaces.box.Box", "gym.spaces.dict.Dict", "gymnasium.spaces.box.Box")
_STATISTICS = _inert("stable_baselines3.common.running_mean_std.RunningMeanStd")
_EXTRACTOR = _inert("mocapact.sb3.features_extractor.CmuHumanoidFeaturesExtractor")
_GENERATOR = _inert("numpy.random._pickle.__randomstate_ctor")
VECNORMALIZE: Mapping[str, object] = {
    **ARRAYS,
    **_SPACES,
    **_STATISTICS,
    **_GENERATOR,
    **_inert("stable_baselines3.common.vec_env.vec_normalize.VecNormalize"),
}
"""`vecnormalize.pkl`."""
TENSORS: Mapping[str, object] = {
    # A storage is named inside a persistent id, where its type is all that it says.
    **{f"torch.{name}": dtype for name, dtype in STORAGES.items()},
    "torch._utils._rebuild_tensor_v2": stand_ins.tensor,
    "collections.OrderedDict": stand_ins.table,
}
"""Tables of parameters, such as `policy.pth`."""
CHECKPOINT: Mapping[str, object] = {
    **ARRAYS,
    **TENSORS,
    **_SPACES,
    **_STATISTICS,
    **_EXTRACTOR,
    **_inert("ml_collections.config_dict.config_dict.ConfigDict", "torch.optim.adam.Adam"),
}
"""Checkpoints of multi-clip policies."""
_ACTIVATIONS = ("Tanh", "ReLU", "ELU", "GELU", "SiLU", "LeakyReLU", "Sigmoid", "Mish")
_SCHEDULES = (
    "cloudpickle.cloudpickle._make_cell",
    "cloudpickle.cloudpickle._make_empty_cell",
    "cloudpickle.cloudpickle._make_function",
    "cloudpickle.cloudpickle_fast._function_setstate",
    "builtins.float",
    "stable_baselines3.common.utils.ConstantSchedule",
    "stable_baselines3.common.utils.FloatSchedule",
)
"""Learning rates: functions by value in the published files, classes in those of Stable-Baselines3 now."""
MODEL: Mapping[str, object] = {
    **ARRAYS,
    **_SPACES,
    **_EXTRACTOR,
    **_GENERATOR,
    **_inert(*_SCHEDULES),
    **_inert(*(f"torch.nn.modules.activation.{name}" for name in _ACTIVATIONS)),
    **_inert(
        "stable_baselines3.common.policies.MultiInputActorCriticPolicy",
        "stable_baselines3.common.policies.ActorCriticPolicy",
        "stable_baselines3.common.buffers.RolloutBuffer",
    ),
    "cloudpickle.cloudpickle._builtin_type": stand_ins.inert_type,
    "collections.deque": stand_ins.queue,
}
"""The attributes of an algorithm in a model zip; they are looked through, none of them is used."""
ALLOWED = frozenset().union(ARRAYS, METRICS, VECNORMALIZE, CHECKPOINT, MODEL)
"""All of them."""
