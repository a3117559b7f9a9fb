"""The beds do what the harnesses that stand on them believe."""

import base64
import hashlib
import http.server
import json
import os
import secrets
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import secretstorage

from tests.host import keyring_bed, oidc_agent
from tests.host.keyring_bed import KeyringBed, KeyringFailed
from tests.host.oidc_agent import AgentFailed, OidcAgent, Verdict
from tests.host.oidc_provider.bed import CONFIDENTIAL, PUBLIC, OidcProvider
from tests.host.oidc_provider.browser import Arrival, Browser, BrowserStuck
from tests.host.oidc_provider.ledger import fingerprint

with_provider = pytest.mark.part("oidc-provider")
with_keyring = pytest.mark.part("keyring")
with_agent = pytest.mark.part("oidc-agent", "oidc-provider")

ACCESS_TTL_S = 7


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(access_ttl_s=ACCESS_TTL_S) as server:
        yield server


@pytest.fixture
def keyring() -> Iterator[KeyringBed]:
    with KeyringBed() as bed:
        yield bed


@pytest.fixture
def callback() -> Iterator[str]:
    """The address of a loopback listener that thanks for every visit."""

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"thanks")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}/callback"
        server.shutdown()


class Visit:
    """An authorization request with its PKCE verifier."""

    def __init__(self, provider: OidcProvider, client_id: str, callback: str, **more: str) -> None:
        self.verifier = secrets.token_urlsafe(40)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": callback,
            "scope": "openid offline_access",
            "prompt": "consent",
            "state": "any",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **more,
        }
        kept = {name: value for name, value in query.items() if value}
        self.address = f"{provider.issuer}/auth?{urllib.parse.urlencode(kept)}"

    def redeem(self, provider: OidcProvider, client_id: str, callback: str, arrival: Arrival) -> dict[str, str]:
        status, answer = provider.post_token(
            client_id,
            grant_type="authorization_code",
            code=arrival.query["code"],
            redirect_uri=callback,
            code_verifier=self.verifier,
        )
        assert status == 200
        return answer


# ------------------------------------------------------------------------------------------- oidc-provider


def test_the_lock_file_pins_hashes_and_names_no_address() -> None:
    folder = Path(__file__).parent / "oidc_provider"
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]["oidc-provider"]
    assert packages["node_modules/oidc-provider"]["version"] == wanted
    assert all("resolved" not in entry for entry in packages.values())
    assert all("integrity" in entry for path, entry in packages.items() if path)


@with_provider
def test_a_refresh_rotates_and_its_moments_are_on_our_monotonic_clock(provider: OidcProvider) -> None:
    minted, seq = provider.mint("ann"), provider.last_seq
    before = time.monotonic_ns()
    status, answer = provider.refresh(minted.refresh_token)
    after = time.monotonic_ns()
    [call] = provider.calls(after=seq)
    stages = [call["received_ns"], call["consumed_ns"], call["rotated_ns"], call["answered_ns"]]
    moments = [before, *[moment for moment in stages if moment is not None], after]
    assert status == 200
    assert len(moments) == 6
    assert moments == sorted(moments)
    assert call["presented"] == minted.fingerprint == fingerprint(minted.refresh_token)
    assert call["issued"] == provider.grant(minted.grant_id)["live"] == fingerprint(answer["refresh_token"])
    assert answer["expires_in"] == ACCESS_TTL_S
    assert provider.accepts(answer["access_token"])
    assert provider.introspect(answer["access_token"])


@with_provider
def test_reuse_of_a_spent_token_revokes_the_grant_and_is_written_down(provider: OidcProvider) -> None:
    minted = provider.mint("ben")
    _, answer = provider.refresh(minted.refresh_token)
    status, refusal = provider.refresh(minted.refresh_token)
    assert (status, refusal["error"]) == (400, "invalid_grant")
    assert provider.refresh(answer["refresh_token"])[0] == 400
    assert not provider.accepts(answer["access_token"])
    grant = provider.grant(minted.grant_id)
    assert (len(grant["rotations"]), len(grant["reuses"]), grant["revoked_because"]) == (1, 1, "reuse")
    assert grant["live"] is None


@with_provider
def test_a_token_state_presents_nothing(provider: OidcProvider) -> None:
    minted, other, seq = provider.mint("cid"), provider.mint("cid"), provider.last_seq
    assert provider.token_state(minted.refresh_token) == "live"
    assert provider.token_state("never issued") == "unknown"
    provider.revoke(other.grant_id)
    assert provider.token_state(other.refresh_token) == "revoked"
    assert provider.last_seq == seq
    provider.refresh(minted.refresh_token)
    assert provider.token_state(minted.refresh_token) == "spent"


@with_provider
@pytest.mark.parametrize("phase", ["before_ms", "after_ms"])
def test_a_held_request_commits_although_its_client_has_gone(provider: OidcProvider, phase: str) -> None:
    minted, seq = provider.mint("dan"), provider.last_seq
    provider.delay(**{phase: 200})
    try:
        with _sent(provider, minted.refresh_token):
            assert provider.wait("received" if phase == "before_ms" else "rotated", after=seq) is not None
        call = provider.wait("aborted", after=seq)
        assert call is not None
        assert provider.wait("answered", after=seq) is not None
    finally:
        provider.delay()
    [call] = provider.calls(after=seq)
    assert call["rotated_ns"] is not None
    assert call["finished_ns"] is None
    assert provider.token_state(minted.refresh_token) == "spent"
    assert not provider.grant(minted.grant_id)["reuses"]


@with_provider
@pytest.mark.parametrize("client_id", [CONFIDENTIAL, PUBLIC])
def test_a_browser_logs_in_and_delivers_the_code_to_any_loopback_port(
    provider: OidcProvider, callback: str, client_id: str
) -> None:
    visit = Visit(provider, client_id, callback)
    arrival = Browser("eve").open(visit.address)
    assert (arrival.status, arrival.page, arrival.query["state"]) == (200, "thanks", "any")
    answer = visit.redeem(provider, client_id, callback, arrival)
    assert provider.refresh(answer["refresh_token"], client_id)[0] == 200


@with_provider
def test_a_browser_can_say_no(provider: OidcProvider, callback: str) -> None:
    visit = Visit(provider, PUBLIC, callback)
    assert Browser("fay").open(visit.address, consent=False).query["error"] == "access_denied"


@with_provider
def test_offline_access_needs_the_consent_prompt(provider: OidcProvider, callback: str) -> None:
    visit = Visit(provider, PUBLIC, callback, prompt="")
    answer = visit.redeem(provider, PUBLIC, callback, Browser("gil").open(visit.address))
    assert "refresh_token" not in answer


@with_provider
def test_a_public_client_needs_pkce(provider: OidcProvider, callback: str) -> None:
    visit = Visit(provider, PUBLIC, callback, code_challenge="", code_challenge_method="")
    assert Browser("hal").open(visit.address).query["error"] == "invalid_request"


@with_provider
def test_a_browser_names_an_error_page(provider: OidcProvider) -> None:
    with pytest.raises(BrowserStuck, match="400"):
        Browser("ida").open(f"{provider.issuer}/auth?client_id=nobody")


@with_provider
@pytest.mark.parametrize("client_id", [CONFIDENTIAL, PUBLIC])
def test_a_device_is_authorized_by_a_browser(provider: OidcProvider, client_id: str) -> None:
    started = provider.start_device(client_id)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": started["device_code"],
    }
    assert provider.post_token(client_id, **form)[1]["error"] == "authorization_pending"
    arrival = Browser("jim").open(started["verification_uri_complete"])
    assert (arrival.callback, arrival.status) == (None, 200)
    status, answer = provider.post_token(client_id, **form)
    assert (status, "refresh_token" in answer) == (200, True)


@with_provider
def test_a_revoked_refresh_token_is_refused_and_the_ledger_knows_why(provider: OidcProvider) -> None:
    minted = provider.mint("kim")
    provider.revoke_token(minted.refresh_token)
    assert provider.refresh(minted.refresh_token)[0] == 400
    assert provider.grant(minted.grant_id)["revoked_because"] == "revocation"


@with_provider
def test_counters_tell_token_calls_by_grant_type_and_other_routes(provider: OidcProvider) -> None:
    before = provider.counters()
    provider.refresh(provider.mint("lea").refresh_token)
    provider.post_token(grant_type="client_credentials")
    provider.accepts("not a token")
    after = provider.counters()
    assert after["token_calls"] - before["token_calls"] == 2
    assert after["requests"]["/me"] - before["requests"].get("/me", 0) == 1
    for kind in ("refresh_token", "client_credentials"):
        assert after["token_by_grant_type"][kind] - before["token_by_grant_type"].get(kind, 0) == 1


@with_provider
def test_a_server_is_gone_after_stop() -> None:
    server = OidcProvider().start()
    pid = server.pid
    server.stop()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def _sent(provider: OidcProvider, refresh_token: str) -> socket.socket:
    """A connection on which a refresh was asked for and whose answer nobody reads."""
    target = urllib.parse.urlsplit(provider.issuer)
    pair = f"{CONFIDENTIAL}:{provider.clients[CONFIDENTIAL]}".encode()
    body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
    connection = socket.create_connection(("127.0.0.1", target.port or 0))
    head = (
        f"POST /token HTTP/1.1\r\nHost: {target.netloc}\r\n"
        f"Authorization: Basic {base64.b64encode(pair).decode()}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall((head + body).encode())
    return connection


# ------------------------------------------------------------------------------------------------- keyring


@with_keyring
def test_a_value_outlives_the_kill_of_the_daemon(keyring: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> None:
    _store(keyring, monkeypatch, b"kept")
    first = keyring.daemon_pid()
    keyring.kill()
    assert keyring.restart() != first
    assert not keyring.is_locked()
    assert _load(keyring, monkeypatch) == b"kept"


@with_keyring
def test_a_keyring_is_locked_and_unlocked_at_run_time(keyring: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> None:
    _store(keyring, monkeypatch, b"kept")
    keyring.lock()
    assert keyring.is_locked()
    with pytest.raises(secretstorage.LockedException):
        _load(keyring, monkeypatch)
    assert not keyring.unlock("wrong")
    assert keyring.unlock()
    assert _load(keyring, monkeypatch) == b"kept"


@with_keyring
def test_a_frozen_keyring_answers_nothing_until_it_thaws(keyring: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, keyring.frozen():
        patch.setattr(keyring_bed, "CALL_DEADLINE_S", 0.2)
        with pytest.raises(TimeoutError):
            keyring.is_locked()
    assert not keyring.is_locked()


@with_keyring
def test_a_killed_daemon_is_replaced_by_a_locked_one_where_the_bus_activates(keyring: KeyringBed) -> None:
    killed = keyring.daemon_pid()
    keyring.kill()
    assert keyring.daemon_pid() is None
    assert keyring.is_locked()
    assert keyring.daemon_pid() not in {None, killed}
    assert keyring.unlock()


@with_keyring
def test_a_killed_daemon_stays_dead_on_a_bare_bus() -> None:
    with KeyringBed(activation=False) as keyring:
        keyring.kill()
        with pytest.raises(KeyringFailed, match="ServiceUnknown"):
            keyring.is_locked()
        keyring.restart()
        assert not keyring.is_locked()


@with_keyring
def test_a_restart_with_a_wrong_password_is_silent_and_locked(keyring: KeyringBed) -> None:
    pid = keyring.restart("wrong")
    assert keyring.daemon_pid() == pid
    assert keyring.is_locked()


@with_keyring
def test_nothing_is_left_after_stop() -> None:
    keyring = KeyringBed().start()
    pid, files = keyring.daemon_pid(), keyring.files
    keyring.stop()
    keyring.stop()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not files.exists()


def _collection(bed: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> secretstorage.Collection:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
    return secretstorage.get_default_collection(secretstorage.dbus_init())


def _store(bed: KeyringBed, monkeypatch: pytest.MonkeyPatch, value: bytes) -> None:
    collection = _collection(bed, monkeypatch)
    collection.create_item("bed", {"bed": "test"}, value)
    collection.connection.close()


def _load(bed: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> bytes:
    collection = _collection(bed, monkeypatch)
    try:
        [item] = collection.search_items({"bed": "test"})
        return item.get_secret()
    finally:
        collection.connection.close()


# ---------------------------------------------------------------------------------------------- oidc-agent


@with_agent
def test_an_account_of_oidc_agent_refreshes_after_a_kill_between_refreshes(provider: OidcProvider) -> None:
    with OidcAgent() as agent:
        agent.create("quiet", provider, provider.mint("quiet").refresh_token)
        assert agent.refresh("quiet") is None
        agent.kill()
        agent.start()
        agent.load("quiet")
        assert agent.refresh("quiet") is None


@with_agent
def test_a_withdrawn_account_of_oidc_agent_is_reported(provider: OidcProvider) -> None:
    with OidcAgent() as agent:
        minted = provider.mint("gone")
        agent.create("gone", provider, minted.refresh_token)
        provider.revoke(minted.grant_id)
        assert "invalid_grant" in (agent.refresh("gone") or "")
        with pytest.raises(AgentFailed):
            agent.load("nowhere")


@with_agent
def test_oidc_agent_loses_what_was_committed_before_its_answer_came(provider: OidcProvider) -> None:
    provider.delay(after_ms=400)
    try:
        trials = oidc_agent.run_trials(3, seed=7, provider=provider, span_ms=100)
    finally:
        provider.delay()
    counts = oidc_agent.tally(trials)
    assert not any(trial.agent_held_it for trial in trials)
    assert counts[Verdict.LOST] == sum(trial.committed_at is not None for trial in trials) > 0
    assert counts[Verdict.LOST] + counts[Verdict.NEVER_COMMITTED] == len(trials)
