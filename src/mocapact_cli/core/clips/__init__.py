"""Reference motion: clips and snippets, mocap HDF5, ASF/AMC import, built-in demo clips."""
