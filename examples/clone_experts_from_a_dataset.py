"""Clone recorded experts with a small network: whole batches of a dataset, shuffled, as tensors."""

import sys
from pathlib import Path

import torch

from mocapact_cli import BatchLoader, ExpertDataset
from mocapact_cli.core.sim.observables import HIGH_LEVEL

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("dataset")
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000

dataset = ExpertDataset(sorted(FOLDER.glob("*.hdf5")), HIGH_LEVEL, normalize_obs=True, temperature=8.0)
loader = BatchLoader(dataset, min(256, len(dataset)))
sizes = dataset.observation_space.shape[0], dataset.action_space.shape[0]
network = torch.nn.Sequential(torch.nn.Linear(sizes[0], 256), torch.nn.ELU(), torch.nn.Linear(256, sizes[1]))
optimizer = torch.optim.Adam(network.parameters(), lr=5e-4)

first = None
for step in range(STEPS):
    batch = loader.batch(step)
    errors = (network(batch.observations) - batch.actions).square().mean(dim=-1)
    loss = (batch.weights * errors).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    first = first or loss.item()
print(f"{len(dataset):,} samples of {sizes[0]} columns; loss {first:.4f} before, {loss.item():.4f} after {STEPS} steps")
