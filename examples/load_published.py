"""Do what the original's README does in Python: an expert and a multi-clip policy act, and recorded episodes are read.

    python load_published.py experts/CMU_009_12-165-363 multiclip_policy dataset/CMU_009_12.hdf5 cmu_2020.h5

Nothing that lies in these files is run. The last one, with the motion, may be left out where it is among the clips at
hand (`mocapact clips list`).
"""

import sys

from mocapact_cli import load_policy, make_env, read_rollouts
from mocapact_cli.core.interop.expert_folder import find_expert

EXPERT, POLICY, ROLLOUTS, *MOCAP = sys.argv[1:]


def act(policy, snippet, deterministic=True):
    """Let a policy track a snippet once; return the steps and the sum of rewards."""
    env = make_env(
        snippet,
        mocap=MOCAP,
        observables=policy.observables,
        ref_steps=policy.ref_steps,
        always_init_at_clip_start=True,
    )
    observation, _ = env.reset(seed=0)
    state, finished, steps, total = None, False, 0, 0.0
    while not finished:
        action, state = policy.predict(observation, state, deterministic)
        observation, reward, terminated, truncated, _ = env.step(action)
        finished, steps, total = terminated or truncated, steps + 1, total + float(reward)
    env.close()
    return steps, total


snippet = str(find_expert(EXPERT).snippet)
steps, total = act(load_policy(EXPERT), snippet)
print(f"The expert of {snippet}: {steps} steps, return {total:.1f}")

policy = load_policy(POLICY)
steps, total = act(policy, snippet, deterministic=False)
print(f"The multi-clip policy ({policy.model}): {steps} steps, return {total:.1f}")

with read_rollouts(ROLLOUTS) as rollouts:
    recorded = rollouts.snippets[0]
    episode = rollouts[recorded][0]
    joints = episode.observable("walker/joints_pos").shape
    print(f"The first episode of {recorded}: return {episode.rewards.sum():.1f}")
    print(f"actions {episode.actions.shape}, joints {joints}, values {episode.values.shape}")
