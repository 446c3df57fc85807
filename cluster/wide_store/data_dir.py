"""The folder of the embedded stores: never on a network file system, where SQLite's locks do not hold."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from memgrid.errors import InvalidInput

_NETWORK_TYPES = re.compile(
    r"""nfs\d? | cifs | smb\d* | smbfs | afs | ncpfs | coda | ceph | glusterfs | lustre | gpfs | beegfs
    | ocfs2 | gfs2
    | fuse\.(sshfs | s3fs | gcsfuse | rclone | ceph.* | glusterfs | juicefs.* | blobfuse2? | goofys | mount-s3
    | davfs | curlftpfs | seaweedfs | moosefs | mfs)""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\([0-7]{3})")

MOUNTS = Path("/proc/mounts")


def network_file_system(path: Path, mounts: str) -> str | None:
    """The type of the network file system that the absolute `path` is on; None when it is on a local one.

    `mounts` is the text of /proc/mounts: `device mount-point type options …` a line, blanks in octal.
    """
    found, depth = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_ESCAPED.sub(lambda escape: chr(int(escape[1], 8)), fields[1]))
        if path.is_relative_to(point) and len(point.parts) >= depth:  # a later mount covers an earlier one
            found, depth = fields[2], len(point.parts)
    return found if _NETWORK_TYPES.fullmatch(found) else None


def prepare_data_dir(folder: Path) -> None:
    """Create it, for its owner only, unless it is on a network."""
    with contextlib.suppress(FileNotFoundError):  # not Linux: nothing to ask
        kind = network_file_system(folder.resolve(), MOUNTS.read_text(encoding="utf-8"))
        if kind is not None:
            raise InvalidInput(
                f"data_dir {str(folder)!r} is on a network file system ({kind}), where SQLite loses data",
                field="data_dir",
                remedy="put data_dir on a local disk",
            )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"data_dir {str(folder)!r} cannot be created: {error}",
            field="data_dir",
            remedy="name a folder that can be written to",
        ) from error
