"""Train with your own algorithm: the batch is a Stable-Baselines3 ``VecEnv``, and so is what wraps it."""

import sys

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.sb3 import TrackingVecEnv
from mocapact_cli.core.sim.observables import TIME_INDEX

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000

library = open_library()
snippet = library.resolve("demo_reach")
batch = TrackingBatch([(library.get(snippet.clip_id), snippet)], num_envs=32, observables=TIME_INDEX)
env = VecNormalize(TrackingVecEnv(batch))
model = PPO("MlpPolicy", env, n_steps=64, batch_size=512, gamma=0.95, policy_kwargs={"log_std_init": -2.3}, seed=0)
model.learn(STEPS)

lengths = [episode["norm_length"] for episode in model.ep_info_buffer or []]
mean = sum(lengths) / len(lengths)
print(f"{model.num_timesteps} steps; normalized length of the last {len(lengths)} episodes: {mean:.2f}")
env.close()
