"""The vendor's own clients take the sandbox's CloudBase for the service: sign-in, refresh, captcha, sign-out.

The node packages are installed once, from the lock file, into the folder's `node_modules`; afterwards nothing here
needs a network.
"""

import asyncio
import fcntl
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from freshd.sandbox.cloudbase.levers import Levers
from freshd.sandbox.cloudbase.user import Profile
from freshd.sandbox.server import Settings, start

HERE: Final = Path(__file__).parent / "cloudbase_vendor"
INSTALL_DEADLINE_S: Final = 300
STAND: Final = "freshd.sandbox.cloudbase.service:mount"


def install() -> None:
    """Install the locked packages unless they are there. Safe to call from several processes at once."""
    with (HERE / "package.json").open(encoding="utf-8") as turnstile:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        wanted = json.loads(turnstile.read())["dependencies"]
        record = HERE / "node_modules" / ".package-lock.json"  # npm writes it last
        packages = json.loads(record.read_text(encoding="utf-8"))["packages"] if record.is_file() else {}
        if all(packages.get(f"node_modules/{name}", {}).get("version") == version for name, version in wanted.items()):
            return
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, check=False, timeout=INSTALL_DEADLINE_S
        )
        assert done.returncode == 0, done.stderr[-1000:]


async def told_by_the_vendors_clients() -> dict[str, Any]:
    """Run the script against a sandbox of its own; what it printed."""
    async with await start(Settings(stands=(STAND,))) as running:
        environment = running.stands["cloudbase"]
        environment.users.register(Profile(label="a", username="ann", password="right"))
        key = Levers(environment, running.service.now).make_key()
        given = {"base_url": running.base_url, "control_url": running.control_url, "key": key}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "node", "client.mjs", cwd=HERE, stdin=pipe, stdout=pipe, stderr=pipe
        )
        out, err = await process.communicate(json.dumps(given).encode())
        assert process.returncode == 0, err.decode()[-2000:]
        told: dict[str, Any] = json.loads(out)
        assert running.ledger.books.totals.spent_uses == 3  # each session showed its spent token once, on purpose
        return told


@pytest.mark.part("oidc-provider")
@pytest.mark.timeout(INSTALL_DEADLINE_S + 60)
async def test_the_vendors_clients_find_what_they_expect() -> None:
    await asyncio.to_thread(install)
    told = await told_by_the_vendors_clients()
    session = {
        "rotated": True,
        "same_user": True,
        "scope": "user sso",
        "expires_in": 7200,
        "spent": "invalid_grant",
        "signed_out": None,
        "over": "invalid_grant",
    }
    assert told["anonymous"] == {**session, "scope": "anonymous"}
    assert (told["password"], told["custom"]) == (session, session)
    # The fifth wrong one and the right one meet a captcha; the client answers each with one challenge.
    assert told["wrong"] == ["invalid_password"] * 5
    assert (told["challenges_before"], told["right"], told["challenges"]) == (1, None, 2)
