"""The evening from beginning to end: set the stage, run the script, gather the evidence, judge it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from freshd.cli.demo import script
from freshd.cli.demo.broker import why_not
from freshd.cli.demo.cast import AUN, Role, cast, scale_of
from freshd.cli.demo.evidence import AccountEvidence, Arrival, AunEvidence, Evidence, FutuEvidence, Met, MqttEvidence
from freshd.cli.demo.monitor import Monitor
from freshd.cli.demo.openings import UID
from freshd.cli.demo.props import Props
from freshd.cli.demo.readers import EACH, POLL_SECONDS, Crowd
from freshd.cli.demo.score import Verdict, judge, kind_of
from freshd.cli.demo.stage import Stage, StageFailed
from freshd.cli.demo.story import FOOTER, Narrator, epilogue
from freshd.cli.demo.table import CLOSING_HEAD, Row, View, closing_row
from freshd.cli.demo.traders import Floor

if TYPE_CHECKING:
    from freshd.cli.demo.clerk import Clerk, Witness

FIRST_LEASES_S: Final = 20.0
LAST_ACT_S: Final = 30.0
"""How much longer than planned the script may take on a busy machine."""
TICK_S: Final = 0.2
SEES: Final = {Met.GOOD: "200", Met.REFUSED: "refused", Met.NONE: "nothing", Met.DOWN: "nothing", Met.UNSURE: "?"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for."""

    duration: float
    sabotage: str = ""
    no_keyring: bool = False


def play(wishes: Wishes, view: View) -> Verdict:
    """One run.  Raises StageFailed where it could not even begin."""
    missing, scale = why_not(), scale_of(wishes.duration)
    roles = cast(wishes.duration, has_broker=not missing)
    with Stage(roles, scale, no_keyring=wishes.no_keyring) as stage:
        run = _Run(wishes, view, stage)
        verdict = judge(run.perform(missing))
    _close(view, verdict, stage.roles)
    return verdict


class _Run:
    """One run on one stage."""

    def __init__(self, wishes: Wishes, view: View, stage: Stage) -> None:
        names = [role.name for role in stage.roles]
        self._wishes, self._view, self._stage = wishes, view, stage
        self._crowd = Crowd(stage.roles, stage.setting.socket, stage.service)
        self._monitor = Monitor(names, stage.setting.socket)
        self._narrator = Narrator({role.name: role.kind for role in stage.roles})
        self._notes: deque[tuple[float, str]] = deque()
        self._floor = Floor(
            stage.roles, stage.setting.socket, stage.service, self._note, deaf=wishes.sabotage == "deaf"
        )
        self._bus = _bus(stage, wishes.sabotage)
        self._told = 0
        self._broken: list[BaseException] = []

    def perform(self, missing: str = "") -> Evidence:
        """Everything up to the evidence; `missing`: why no MQTT broker plays."""
        stage = self._stage
        if self._bus is not None:
            self._bus[1].start()
        stage.start_daemon()
        self._enrol()
        self._introduce(missing)
        if self._bus is not None:
            self._bus[0].start()
        self._crowd.start()
        self._floor.start()
        self._monitor.start()
        self._wait_for_first_leases()
        props = Props(stage, self._monitor, self._note, scale_of(self._wishes.duration), self._wishes.sabotage)
        began = time.time()
        self._note(f"START  every reader holds a token that works; {self._wishes.duration:g} s from now on count")
        self._watch(props, began)
        self._crowd.stop()
        self._floor.stop()
        ended = time.time()
        if self._bus is not None:
            self._bus[0].stop()
        stage.look_after(ended)
        self._monitor.stop()
        self._narrate()
        return self._gather(props, began, ended)

    def _enrol(self) -> None:
        """Give every account that needs one a grant, over the socket like any operator."""
        client = self._stage.client()
        for name, opening in self._stage.openings.items():
            if opening.grant:
                client.call("POST", f"/v1/accounts/{name}/import", {"secrets": dict(opening.grant)})
        client.close()

    def _introduce(self, missing: str) -> None:
        stage, say = self._stage, self._view.say
        lives = [role.life_s for role in stage.roles]
        lost = ", ".join(role.name for role in stage.roles if role.is_lost)
        said = next((event for event in stage.events if event.get("event") == "daemon.started"), {})
        say(f"freshd, the real daemon (freshd run, pid {stage.pid}), owns the secrets of {len(lives)} accounts.")
        say("A sandbox stands in for an OAuth 2.0 service, Feishu, GeniusAuth, CloudBase, AUN, Futu and two brokers.")
        say(f"It hands out tokens that live {min(lives):g} to {max(lives):g} s, and breaks on purpose.")
        say(
            f"{len(lives) * EACH} readers, {EACH} for each account, ask freshd's socket for a token every "
            f"{POLL_SECONDS:g} s and try it at the service."
        )
        say(f"{len(self._floor.traders)} programs hold a trading connection each, logged in with a broker's token.")
        say("freshd itself holds the agent's login at a gateway of AUN.")
        if missing:
            say(f"Not shown: a login at an MQTT broker, for this machine has no {missing}.")
        else:
            say("It holds one at an MQTT broker too, mosquitto, where each new token of meter becomes its password.")
        say(f"Custodian: {said.get('custodian')}; placement: {said.get('placement')}. It is {stage.custody.words}.")
        say(f"One account, {lost}, will lose an answer that nobody can get back: it must end parked, with a remedy.")
        say()

    def _wait_for_first_leases(self) -> None:
        give_up_at = time.monotonic() + FIRST_LEASES_S
        while not (self._crowd.are_served() and self._floor.are_logged_in()):
            if time.monotonic() > give_up_at:
                missing = sorted({one.account for one in self._crowd.readers if one.mood is not Met.GOOD})
                missing = missing or sorted(one.account for one in self._floor.traders if not one.is_logged_in)
                raise StageFailed("these accounts never had a first token: " + ", ".join(missing))
            self._narrate()
            time.sleep(TICK_S)

    def _watch(self, props: Props, began: float) -> None:
        """Let the script run on a thread, and show what comes of it."""
        player = threading.Thread(target=self._act, args=(props, began), name="script", daemon=True)
        player.start()
        ends_at = began + self._wishes.duration
        while time.time() < ends_at or (player.is_alive() and time.time() < ends_at + LAST_ACT_S):
            self._stage.look_after()
            self._narrate()
            self._view.draw(self._rows())
            time.sleep(TICK_S)

    def _act(self, props: Props, began: float) -> None:
        last = began
        try:
            for act in script.acts(self._wishes.sabotage):
                due = max(began + act.at * self._wishes.duration, last + act.apart)
                time.sleep(max(0.0, due - time.time()))
                last = time.time()
                act.play(props)
                if act.settles:
                    script.wait_for_renewals(props, time.time())
        except Exception as error:  # noqa: BLE001 - told by the main thread
            self._broken.append(error)

    def _note(self, line: str) -> None:
        """A line of the script; from any thread."""
        self._notes.append((time.time(), line))

    def _narrate(self) -> None:
        events = self._stage.events[self._told :]
        self._told += len(events)
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        for at, line in sorted([*self._narrator.tell(events), *notes], key=lambda told: told[0]):
            self._view.tell(line, at)

    def _rows(self) -> list[Row]:
        return [self._row(role, self._monitor.now.get(role.name, {})) for role in self._stage.roles]

    def _row(self, role: Role, seen: Mapping[str, Any]) -> Row:
        now = time.time()
        sees = " ".join(sorted({SEES[reader.mood] for reader in self._crowd.of(role.name)}))
        counts = [str(self._count(name, role.name)) for name in ("refresh.succeeded", "lease.healed")]
        ends, due = (_in(seen.get(name), now) for name in ("usable_until", "next_refresh_at"))
        return (role.name, role.contract, str(seen.get("phase", "")), ends, due, *counts, sees)

    def _count(self, event: str, account: str) -> int:
        return sum(1 for one in self._stage.events if kind_of(one) == event and one.get("account") == account)

    def _gather(self, props: Props, began: float, ended: float) -> Evidence:
        stage = self._stage
        return Evidence(
            began=began, ended=ended, accounts=[self._account(role) for role in stage.roles], downs=tuple(stage.downs),
            kills=stage.kills, comebacks=stage.comebacks, storms=tuple(props.storms), revoked=props.revoked,
            voided=props.voided, struck=props.struck, futu=self._futu(props), aun=self._aun(), mqtt=self._mqtt(),
            events=tuple(stage.events), deaths=stage.deaths,
            troubles=[f"the script broke off: {error}" for error in self._broken],
        )  # fmt: skip

    def _futu(self, props: Props) -> FutuEvidence:
        tally = self._stage.service.tally(UID)
        return FutuEvidence(tally, props.expired, props.told_no_cid, props.cut, self._floor.diaries())

    def _aun(self) -> AunEvidence:
        agents = [role for role in self._stage.roles if role.kind == AUN]
        tallies, sessions = self._stage.service.gateway()
        return AunEvidence(
            {role.name: tallies.get(role.aid, {}) for role in agents},
            {role.name: sessions.count(role.aid) for role in agents},
        )

    def _mqtt(self) -> MqttEvidence | None:
        if self._bus is None or self._stage.broker is None:
            return None
        self._bus[1].stop()
        return self._bus[1].evidence(self._stage.broker)

    def _account(self, role: Role) -> AccountEvidence:
        page = self._stage.service.page(role.label)
        readers = self._crowd.of(role.name)
        return AccountEvidence(
            name=role.name,
            kind=role.kind,
            renews_every=role.renews_every,
            expected_parked=role.is_lost,
            reads=sum(reader.reads for reader in readers),
            readings=[line for reader in readers for line in reader.diary],
            arrivals=[Arrival(call["at"], call["outcome"], call["grant_type"]) for call in page["calls"]],
            samples=self._monitor.samples[role.name],
            wishes=[wish for reader in readers for wish in reader.wishes],
            counters=page["counters"],
            lost=sum(1 for commit in page["commits"] if commit["doubt"] == "lost_after_commit"),
            final=self._monitor.now.get(role.name, {}),
        )


def _bus(stage: Stage, sabotage: str) -> tuple[Clerk, Witness] | None:
    """Those around the MQTT broker, where there is one."""
    if stage.broker is None:
        return None
    from freshd.cli.demo.clerk import Clerk, Witness

    return Clerk(stage.broker, stage.broker.user, stage.setting.socket, sabotage), Witness(stage.broker)


def _in(moment: object, now: float) -> str:
    return f"{max(0.0, moment - now):.1f} s" if isinstance(moment, int | float) else "-"


def _close(view: View, verdict: Verdict, roles: Sequence[Role]) -> None:
    about = {role.name: role.about for role in roles}
    view.say()
    view.close(CLOSING_HEAD, [closing_row(one, epilogue(one, about[one.name])) for one in verdict.accounts])
    for one in verdict.accounts:
        if one.expected_parked:
            view.say(f"* {one.name} is the account that was expected to be parked; its gap is expected too")
    view.say()
    for line in FOOTER:
        view.say(line)
    view.say()
    for failure in verdict.failures:
        view.say(f"FAILED  {failure}")
    good = "ok: everything that had to happen happened, and no other reader ever stood there without a token"
    view.say(good if verdict.ok else "not ok")
