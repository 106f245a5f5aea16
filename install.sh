#!/usr/bin/env bash
# Sets up mocapact in .venv: the Debian packages for off-screen OpenGL, PyTorch for this machine, the package and its tools.
# Running it again updates what is there. Options are passed to the last `pip install` (for example `--upgrade`).
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_debian_packages() {
    local missing=() package
    for package in libegl1 libgl1 python3-venv; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "Installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

find_python() {
    local python
    for python in ${PYTHON:-} python3 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "mocapact needs Python 3.11 or 3.12 (labmaze, which dm_control needs, has no wheels for 3.13); set PYTHON to one." >&2
    return 1
}

# PyPI's PyTorch for Linux brings several gigabytes of CUDA libraries; without a GPU the CPU build does the same.
install_cpu_torch() {
    [ -e /dev/nvidiactl ] && return
    .venv/bin/python -c 'import torch' 2>/dev/null && return
    say "Installing PyTorch without CUDA (no NVIDIA GPU found)"
    .venv/bin/pip install --quiet --no-deps --retries 1 --index-url https://download.pytorch.org/whl/cpu \
        'torch>=2.10,<2.14' || say "PyTorch's CPU builds cannot be reached; taking PyPI's"
}

if command -v apt-get >/dev/null; then install_debian_packages; fi
python=$(find_python)
say "Creating .venv with $("$python" --version)"
"$python" -m venv .venv
install_cpu_torch
say "Installing mocapact"
.venv/bin/pip install --quiet --editable '.[dev]' "$@"
say "Done: .venv/bin/mocapact --help"
