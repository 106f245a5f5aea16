"""Many jobs on many cores and machines: plans, records of what was tried, and the engines that run them."""
