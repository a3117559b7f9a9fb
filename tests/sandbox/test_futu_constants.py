"""Every constant of Futu's stand-in, each way; and that they are everybody's or one uid's."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.sandbox.futu.constants import ConstantBook, FutuConstants
from freshd.sandbox.futu.levers import Need
from tests.sandbox.futu_bed import HK, UID, US, VERSION, Bed, Said

PREFIX = "FUTU_SIM_"


def check_sig(bed: Bed) -> str:
    bed.levers.require(UID, Need.DEVICE_CHECK)
    sig: str = bed.login().error["device_verify_sig"]
    return sig


def status_of_error(bed: Bed) -> object:
    return bed.login(uid=5).status, bed.repull(web_sig="x").status


def salt_path(bed: Bed) -> object:
    query = {"account": str(bed.kept["account"])}
    paths = ("/authority/salt", "/authority/grain")
    return [bed.call("GET", path, query=query, headers=VERSION).status for path in paths]


def code_life(bed: Bed) -> object:
    issued = bed.repull().result["invalid_time"] - int(bed.at)
    bed.pass_(100)
    return issued, bed.auth().code


def invalid_time(bed: Bed) -> object:
    return bed.repull().result["invalid_time"], bed.login().result["auth_code_list"][0]["invalid_time"]


def code_twice(bed: Bed) -> object:
    return [bed.auth(code=bed.codes[HK]).code for _ in range(2)]


def old_code_after_repull(bed: Bed) -> object:
    old = bed.codes[HK]
    bed.repull()
    return bed.auth(code=old).code


def web_sig_after_repull(bed: Bed) -> object:
    new = bed.repull().result.get("web_sig_new")
    bed.pass_(10)
    codes = [bed.repull().code]
    bed.pass_(10)
    return [*codes, bed.repull(web_sig=new or bed.kept["web_sig"]).code]


def web_sig_after_login(bed: Bed) -> object:
    old = bed.kept["web_sig"]
    bed.login()
    return bed.repull(HK, web_sig=old).code, bed.repull(US).code


def web_sig_life(bed: Bed) -> object:
    bed.login()
    bed.pass_(100)
    return bed.repull().code


def repull_after(bed: Bed) -> object:
    bed.repull()
    bed.pass_(5)
    return bed.repull().code


def expired_code(bed: Bed) -> object:
    bed.pass_(2592000)
    return bed.auth().code


def refused_trade_login(bed: Bed) -> object:
    bed.auth()
    return bed.trade_login(bed.trade(), broker_client_sig="x"), bed.trade_login(bed.trade(), customer_id=5)


def login_after(bed: Bed) -> object:
    bed.login()
    bed.pass_(30)
    return bed.login().code


def ticket_life(bed: Bed) -> object:
    bed.login()
    bed.pass_(100)
    return bed.login().code


def ticket_twice(bed: Bed) -> object:
    old = bed.kept["tgtgt"]
    bed.login()
    bed.pass_(60)
    again = bed.login(tgtgt=old).code
    counters = bed.page("futu").counters
    return again, counters.spent_uses, counters.doubtful_replays


def client_sig_life(bed: Bed) -> object:
    result = bed.login().result
    bed.pass_(100)
    said = bed.trade().hear({"cmd": 6001, "uid": UID, "client_sig": result["client_sig"]}, bed.at)
    return result["cltsig_invalidtime"], said["ret"]


def broker_sig_life(bed: Bed) -> object:
    result = bed.auth().result
    bed.pass_(100)
    return result["cltsig_invalidtime"], bed.trade_login(bed.trade())


def check_life(bed: Bed) -> object:
    sig = check_sig(bed)
    bed.pass_(100)
    return bed.ask_sms(sig).code


def second_message_after(bed: Bed) -> object:
    sig = check_sig(bed)
    bed.ask_sms(sig)
    bed.pass_(5)
    return bed.ask_sms(sig).code, bed.tally.sms_sent


def third_try(bed: Bed) -> object:
    sig = check_sig(bed)
    bed.ask_sms(sig)
    tries = [bed.verify(sig, "x").code for _ in range(2)]
    return [*tries, bed.verify(sig, bed.phone[-1]).code]


def keep_alive(bed: Bed) -> object:
    bed.auth()
    line = bed.trade()
    bed.trade_login(line)
    return line.keep_alive_s, line.patience_s


def refused_check(bed: Bed) -> object:
    return bed.ask_sms("x").code, bed.third_factor("x").code


def malformed(bed: Bed) -> object:
    return bed.repull(device_id="").code


def refused_ticket(bed: Bed) -> object:
    return bed.login(tgtgt="x").code


def ticket_of_a_copy(bed: Bed) -> object:
    old = bed.kept["tgtgt"]
    bed.login()
    bed.repull()
    bed.pass_(60)
    return bed.login(tgtgt=old).code


def old_code_after_login(bed: Bed) -> object:
    old = bed.codes[HK]
    bed.login()
    return bed.auth(code=old).code


def old_sig_after_exchange(bed: Bed) -> object:
    old = bed.auth().result["broker_client_sig"]
    bed.repull()
    bed.auth()
    return bed.trade_login(bed.trade(), broker_client_sig=old), bed.trade_login(bed.trade())


def client_version(bed: Bed) -> object:
    return bed.salt().code


def names_of_an_exchange(bed: Bed) -> object:
    return set(bed.auth().result) - {"customer_id", "cltsig_invalidtime"}


NOW = 1_800_000_000
MONTH = 2592000
SIG, KEY = "broker_client_sig", "broker_client_key"
TABLE: dict[str, tuple[Callable[[Bed], object], dict[Any, object]]] = {
    "HTTP_STATUS_ON_ERROR": (status_of_error, {200: (200, 200), 403: (403, 403)}),
    "SALT_PATH": (salt_path, {"/authority/salt": [200, 404], "/authority/grain": [404, 200]}),
    "AUTH_CODE_TTL_S": (code_life, {MONTH: (MONTH, 0), 100: (100, 990003)}),
    "INVALID_TIME_ABSOLUTE": (invalid_time, {True: (NOW + MONTH, NOW + MONTH), False: (MONTH, MONTH)}),
    "AUTH_CODE_SINGLE_USE": (code_twice, {True: [0, 990004], False: [0, 0]}),
    "REPULL_VOIDS_OLD_CODE": (old_code_after_repull, {True: 990004, False: 0}),
    "REPULL_ROTATES_WEB_SIG": (web_sig_after_repull, {False: [0, 0], True: [990001, 0]}),
    "LOGIN_VOIDS_OLD_WEB_SIG": (web_sig_after_login, {True: (990001, 0), False: (0, 0)}),
    "WEB_SIG_TTL_S": (web_sig_life, {MONTH: 0, 100: 990001}),
    "ERR_WEB_SIG_REFUSED": (lambda bed: bed.repull(web_sig="x").code, {990001: 990001, 7: 7}),
    "REPULL_MIN_INTERVAL_S": (repull_after, {10: 990002, 5: 0}),
    "ERR_REPULL_TOO_FREQUENT": (repull_after, {990002: 990002, 7: 7}),
    "ERR_AUTH_CODE_EXPIRED": (expired_code, {990003: 990003, 7: 7}),
    "ERR_AUTH_CODE_USED": (code_twice, {990004: [0, 990004], 7: [0, 7]}),
    "ERR_BROKER_SIG_REFUSED": (refused_trade_login, {990005: (990005, 990005), 7: (7, 7)}),
    "AUTHORITY_MIN_INTERVAL_S": (login_after, {60: 15, 30: 0}),
    "TGTGT_TTL_S": (ticket_life, {MONTH: 0, 100: 2}),
    "TGTGT_SINGLE_USE": (ticket_twice, {False: (0, 0, 0), True: (2, 0, 1)}),
    "CLIENT_SIG_TTL_S": (client_sig_life, {172800: (172800, 0), 100: (100, 15)}),
    "BROKER_SIG_TTL_S": (broker_sig_life, {1800: (1800, 0), 100: (100, 990005)}),
    "DVS_TTL_S": (check_life, {300: 0, 100: 990007}),
    "SMS_MIN_INTERVAL_S": (second_message_after, {30: (990006, 1), 5: (0, 2)}),
    "SMS_WRONG_LIMIT": (third_try, {2: [21, 21, 15], 3: [21, 21, 0]}),
    "KEEPALIVE_S": (keep_alive, {30: (30, 90), 28: (28, 84)}),
    "HEARTBEAT_MISSES": (keep_alive, {3: (30, 90), 1: (30, 30)}),
    "ERR_SMS_TOO_FREQUENT": (second_message_after, {990006: (990006, 1), 7: (7, 1)}),
    "ERR_CHECK_REFUSED": (refused_check, {990007: (990007, 990007), 7: (7, 7)}),
    "ERR_MALFORMED": (malformed, {990008: 990008, 7: 7}),
    "ERR_TICKET_REFUSED": (refused_ticket, {2: 2, 15: 15}),
    "OLD_TICKET_CHECKED": (ticket_of_a_copy, {False: 0, True: 20}),
    "LOGIN_VOIDS_OLD_CODE": (old_code_after_login, {True: 990004, False: 0}),
    "BROKER_AUTH_VOIDS_OLD_SIG": (old_sig_after_exchange, {True: (990005, 0), False: (0, 0)}),
    "SECOND_SMS_SENT": (second_message_after, {True: (990006, 1), False: (0, 1)}),
    "MIN_CLIENT_VERSION": (client_version, {900: 0, 1003: 45}),
    "BROKER_SIG_FIELD": (names_of_an_exchange, {SIG: {SIG, KEY}, "client_sig": {"client_sig", KEY}}),
    "BROKER_KEY_FIELD": (names_of_an_exchange, {KEY: {SIG, KEY}, "client_key": {SIG, "client_key"}}),
}
CASES = [(name, value, expected) for name, (_, ways) in TABLE.items() for value, expected in ways.items()]


@pytest.mark.parametrize(("name", "value", "expected"), CASES)
def test_a_constant_decides_each_way(name: str, value: object, expected: object) -> None:
    bed = Bed()
    bed.set(**{name: value})
    assert TABLE[name][0](bed) == expected


def test_every_constant_is_tried_each_way_beginning_with_its_default() -> None:
    defaults = dataclasses.asdict(FutuConstants())
    assert {PREFIX + name for name in TABLE} == defaults.keys()
    for name, (_, ways) in TABLE.items():
        assert len(ways) == 2
        assert defaults[PREFIX + name] in ways, name


def test_a_single_use_ticket_whose_heir_was_shown_is_a_spent_use() -> None:
    bed = Bed()
    bed.set(TGTGT_SINGLE_USE=True)
    old = bed.kept["tgtgt"]
    for ticket in (None, None, old):
        bed.login(**({"tgtgt": ticket} if ticket else {}))
        bed.pass_(60)
    assert bed.page("futu").counters.spent_uses == 1


def test_a_ticket_whose_heir_never_arrived_is_no_copy() -> None:
    bed = Bed()
    bed.set(OLD_TICKET_CHECKED=True)
    bed.login(lost_by="lost_after_commit")
    bed.pass_(60)
    assert bed.login().code == 0


def test_one_uid_may_differ_from_everybody() -> None:
    bed = Bed()
    bed.service.state.constants.change({"FUTU_SIM_AUTHORITY_MIN_INTERVAL_S": 0}, uid=UID)
    bed.set(AUTHORITY_MIN_INTERVAL_S=1000)
    assert [bed.login().code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("over", "word"),
    [
        ({"FUTU_SIM_NONE": 1}, "unknown"),
        ({"FUTU_SIM_WEB_SIG_TTL_S": -1}, "negative"),
        ({"FUTU_SIM_WEB_SIG_TTL_S": "long"}, "expected a finite number"),
        ({"FUTU_SIM_HTTP_STATUS_ON_ERROR": 99}, "200 to 599"),
        ({"FUTU_SIM_SALT_PATH": "/salt"}, "below /authority/"),
        ({"FUTU_SIM_SALT_PATH": "/authority/repull_auth_code"}, "below /authority/"),
    ],
)
def test_an_impossible_value_changes_nothing_and_says_why(over: dict[str, object], word: str) -> None:
    book = ConstantBook()
    with pytest.raises(ValueError, match=word):
        book.change({"FUTU_SIM_DVS_TTL_S": 1, **over})
    assert book.of(None) == FutuConstants()


def test_fractions_of_seconds_are_told_as_such() -> None:
    bed = Bed()
    bed.set(BROKER_SIG_TTL_S=0.5)
    said: Said = bed.auth()
    assert said.result["cltsig_invalidtime"] == 0.5
