"""Turn AMC recordings into clips, see how well their motion fits the walker, and cut them into snippets."""

import sys
from pathlib import Path

from mocapact_cli.core.clips.importing import import_recordings
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import cut

RECORDINGS = [Path(argument) for argument in sys.argv[1:]] or [Path("recordings")]
OUTPUT = Path("mocap.h5")

# The actor's skeleton, 07.asf, is taken from beside 07_01.amc; without one the scale comes from the motion.
for report in import_recordings(RECORDINGS, OUTPUT, force=True):
    quality = report.quality
    print(f"{report.clip_id}: {report.duration:.1f} s at scale {report.scale:.3f} (from {report.scale_source})")
    print(f"  {report.clamped_share:.1%} of joint values clamped, {report.repaired_share:.1%} repaired")
    print(f"  feet skate at {quality.foot_skate:.3f} m/s, lowest point {quality.lowest_point:.3f} m above the floor")

library = open_library([OUTPUT])
for clip_id in library.ids():
    clip = library.get(clip_id)
    print(f"{clip_id}: joints {clip.joints.shape}, every {clip.dt:.2f} s; snippets", *cut(clip_id, clip.last_step))
