"""A picture that a person must look at to answer, such as a captcha: put into a file, and taken away again.

Rules
-----
* The file is the person's alone, in a folder that nobody else can look into, and gone when the question is answered.
* Its path is printed, so that it can be fetched from a machine without a display; with one, a viewer is started.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from freshd.cli.output import hint, say

ENDINGS: Final[Mapping[bytes, str]] = {b"GIF8": ".gif", b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp"}
"""How the picture formats begin, and what their files are called."""


@contextlib.contextmanager
def shown(picture: bytes | None, *, may_open: bool) -> Iterator[None]:
    """Show it while the body runs; nothing where there is none."""
    if picture is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="freshd-") as folder:
        path = Path(folder) / f"picture{_ending(picture)}"
        path.write_bytes(picture)
        hint("Look at this picture; it is gone when you have answered:")
        say(f"  {path}")
        if may_open:
            _open(path)
        yield


def _ending(picture: bytes) -> str:
    return next((ending for begin, ending in ENDINGS.items() if picture.startswith(begin)), ".img")


def _open(path: Path) -> None:
    import webbrowser

    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(path.as_uri())
