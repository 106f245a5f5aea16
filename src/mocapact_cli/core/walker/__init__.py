"""The CMU humanoid: its MuJoCo model, index tables and forward kinematics."""

from mocapact_cli.core.walker.kinematics import PoseFeatures, finite_difference_velocities, pose_features
from mocapact_cli.core.walker.model import Walker, get_walker

__all__ = ["PoseFeatures", "Walker", "finite_difference_velocities", "get_walker", "pose_features"]
