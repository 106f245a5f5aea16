"""What all training by PPO on the batched physics has in common."""
