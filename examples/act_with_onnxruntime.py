"""Act with an exported policy on onnxruntime and NumPy alone: neither mocapact nor PyTorch is needed."""

import json
import sys

import numpy as np
import onnxruntime

PATH = sys.argv[1] if len(sys.argv) > 1 else "policy.onnx"
ENVIRONMENTS, STEPS = 4, 40

session = onnxruntime.InferenceSession(PATH, providers=["CPUExecutionProvider"])
said = session.get_modelmeta().custom_metadata_map
sizes = dict(zip(json.loads(said["observables"]), json.loads(said["sizes"]), strict=True))

# All but the first input are the state: zeros where an episode starts, what came out of the last step otherwise.
types = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
state = {port.name: np.zeros((ENVIRONMENTS, *port.shape[1:]), types[port.type]) for port in session.get_inputs()[1:]}

rng = np.random.default_rng(0)
for _ in range(STEPS):
    # Your simulator's observables, each (ENVIRONMENTS, size) and as they are: the graph normalizes them.
    observables = {name: rng.standard_normal((ENVIRONMENTS, size), np.float32) for name, size in sizes.items()}
    flat = np.concatenate(list(observables.values()), axis=1)
    actions, *following = session.run(None, {"observations": flat, **state})
    state = dict(zip(state, following, strict=True))

carried = ", ".join(state) or "nothing"
print(
    f"{said['kind']}: {flat.shape[1]} columns in, {actions.shape[1]} actions out, {carried} carried over {STEPS} steps"
)
