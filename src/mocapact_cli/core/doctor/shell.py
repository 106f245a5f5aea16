"""Whether the shell completes the commands of mocapact."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.doctor.findings import SHELL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.doctor.findings import Finding

_PLACES = {
    "bash": (".bash_completions/mocapact.sh", ".local/share/bash-completion/completions/mocapact"),
    "zsh": (".zfunc/_mocapact",),
    "fish": (".config/fish/completions/mocapact.fish",),
}
_SYSTEM = {
    "bash": ("/usr/share/bash-completion/completions/mocapact", "/etc/bash_completion.d/mocapact"),
    "zsh": ("/usr/share/zsh/site-functions/_mocapact", "/usr/local/share/zsh/site-functions/_mocapact"),
    "fish": ("/usr/share/fish/vendor_completions.d/mocapact.fish",),
}


def look_at_completion() -> Iterator[Finding]:
    """Say whether the user's shell has our completion."""
    shell = re.sub(r"^-|\.exe$", "", Path(os.environ.get("SHELL", "")).name)
    if shell not in _PLACES:
        yield SHELL.note("completion", f"not looked for: {shell or 'the shell'} is none of bash, zsh and fish")
        return
    places = [*(Path.home() / place for place in _PLACES[shell]), *map(Path, _SYSTEM[shell])]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        yield SHELL.note("completion", f"not installed for {shell}", "mocapact --install-completion")
    else:
        yield SHELL.ok("completion", f"installed for {shell}: {found}", path=str(found))
