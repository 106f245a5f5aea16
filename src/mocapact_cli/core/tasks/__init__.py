"""What an episode is: where it starts, what it is rewarded for and when it ends. One file a task."""
