"""Step the tracking environment with the controller that aims at the next reference pose, and say how far it gets."""

import gymnasium
import numpy as np

import mocapact_cli  # noqa: F401 - registers the environment ids
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.walker import get_walker

CLIP = "demo_squat"

walker = get_walker()
reference = open_library().get(CLIP)
env = gymnasium.make("mocapact/Tracking-v0", clip=CLIP, always_init_at_clip_start=True)

observation, info = env.reset(seed=0)
step, finished, total = 0, False, 0.0
while not finished:
    step += 1
    action = np.clip(walker.pose_to_action(reference.joints[min(step, reference.last_step)]), -1.0, 1.0)
    observation, reward, terminated, truncated, info = env.step(action.astype(np.float32))
    total += float(reward)
    finished = terminated or truncated
print(f"{step} of {reference.last_step} steps, return {total:.1f}, normalized length {info['norm_length']:.2f}")
env.close()
