"""A client of Futu's stand-in in the same process, on a clock that a test moves; it keeps what a client would keep."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from freshd.sandbox.counters import Account
from freshd.sandbox.futu.books import Tally
from freshd.sandbox.futu.levers import FutuLevers, Opening
from freshd.sandbox.futu.service import FutuService
from freshd.sandbox.futu.trade import TradeLine

START = 1_800_000_000.0
UID = 90_000_001
HK, US = 1001, 1007
BROKERS = {HK: "hk", US: "us"}
DEVICE = {"device_alias": "box", "device_type": "linux", "os_ver": "12"}
VERSION = {"X-Futu-Client-Version": "1002"}


@dataclasses.dataclass(frozen=True)
class Said:
    """An answer. ``code`` is 0 where there is no error."""

    status: int
    answer: dict[str, Any]

    @property
    def code(self) -> int:
        error = self.answer.get("error") or {"error_code": 0}
        number: int = error["error_code"]
        return number

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.answer["error"]
        return error

    @property
    def result(self) -> dict[str, Any]:
        result = self.answer["result"]
        assert isinstance(result, dict), self.answer
        return result


class Bed:
    """One account with two brokers. ``kept`` is what the client holds; ``codes`` and ``leases`` by broker."""

    def __init__(self, **opening: Any) -> None:
        self.at = START
        self.service = FutuService()
        self.levers = FutuLevers(self.service.state)
        wish = Opening(**{"label": "futu", **opening})
        self.kept = cast("dict[str, Any]", self.levers.open(wish, BROKERS, self.at))
        self.uid: int = self.kept["uid"]
        self.codes: dict[int, str] = {one["broker_id"]: one["auth_code"] for one in self.kept["auth_code_list"]}
        self.leases: dict[int, dict[str, Any]] = {}

    def set(self, **over: Any) -> None:
        self.service.state.constants.change({f"FUTU_SIM_{name}": value for name, value in over.items()})

    def pass_(self, seconds: float) -> None:
        self.at += seconds

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        lost_by: str | None = None,
    ) -> Said:
        status, _, answer = self.service.handle(
            method, path, query or {}, headers or {}, body or {}, self.at, lost_by=lost_by
        )
        return Said(status, answer)

    def login(self, *, lost_by: str | None = None, headers: Mapping[str, str] | None = None, **over: Any) -> Said:
        body = {
            "uid": self.uid,
            "device_id": self.kept["device_id"],
            "tgtgt": self.kept["tgtgt"],
            "device_sig": self.kept["device_sig"],
            "sens_state": "true",
            **DEVICE,
            **over,
        }
        body = {name: value for name, value in body.items() if value is not None}
        said = self.call("POST", "/authority/", body, headers=headers, lost_by=lost_by)
        if lost_by is None:
            self.keep(said)
        return said

    def keep(self, said: Said) -> None:
        """Take over what a login brought."""
        if said.code == 0 and said.answer.get("result"):
            new = {name.removesuffix("_new"): value for name, value in said.result.items()}
            self.kept.update(new)
            self.codes.update({one["broker_id"]: one["auth_code"] for one in said.result["auth_code_list"]})

    def repull(self, broker_id: int = HK, *, lost_by: str | None = None, **over: Any) -> Said:
        body = {
            "uid": self.uid,
            "device_id": self.kept["device_id"],
            "web_sig": self.kept["web_sig"],
            "broker_id": broker_id,
            **over,
        }
        said = self.call("POST", "/authority/repull_auth_code", body, lost_by=lost_by)
        if said.code == 0 and lost_by is None and said.answer.get("result"):
            self.codes[broker_id] = said.result["auth_code"]
        return said

    def auth(self, broker_id: int = HK, code: str | None = None, *, lost_by: str | None = None) -> Said:
        body = {
            "uid": self.uid,
            "auth_code": code or self.codes[broker_id],
            "device_id": self.kept["device_id"],
            "broker_id": broker_id,
        }
        said = self.call("POST", "/broker_auth/client_auth", body, lost_by=lost_by)
        if said.code == 0 and lost_by is None:
            self.leases[broker_id] = said.result
        return said

    def salt(self, **query: str) -> Said:
        wish = {"account": str(self.kept["account"]), "ret_no_uid": "true", **query}
        return self.call("GET", "/authority/salt", query=wish, headers=VERSION)

    def ask_sms(self, dvs: str) -> Said:
        query = {"dvs": dvs, "send_mode": "0", "is_send_no_wait": "False"}
        return self.call("GET", "/authority/req_device_code", query=query)

    def verify(self, dvs: str, code: str, **over: Any) -> Said:
        body = {
            "uid": self.uid,
            "verify_mode": 0,
            "device_id": self.kept["device_id"],
            **DEVICE,
            "sens_state": "true",
            "some_sig": dvs,
            "some_code": code,
            **over,
        }
        said = self.call("POST", "/authority/verify_device_code", body)
        self.keep(said)
        return said

    def third_factor(self, sig: str, **over: Any) -> Said:
        body = {
            "uid": self.uid,
            "sig": sig,
            "device_id": self.kept["device_id"],
            **DEVICE,
            "tgtgt": self.kept["tgtgt"],
            **over,
        }
        said = self.call("POST", "/authority/third_factor/auth", body)
        self.keep(said)
        return said

    def trade(self) -> TradeLine:
        return TradeLine(self.service.state)

    def trade_login(self, line: TradeLine, **over: Any) -> int:
        lease = self.leases[HK]
        message = {
            "cmd": 1001,
            "broker_id": HK,
            "customer_id": lease["customer_id"],
            "broker_client_sig": lease["broker_client_sig"],
            **over,
        }
        ret = line.hear(message, self.at)["ret"]
        assert isinstance(ret, int)
        return ret

    def order(self, operation: str, **wish: Any) -> None:
        self.service.state.script.add_json({"operation": operation, **wish})

    def page(self, label: str) -> Account:
        return self.service.state.books.shared.account(label)

    @property
    def phone(self) -> list[str]:
        return self.levers.account(self.uid).phone

    @property
    def tally(self) -> Tally:
        return self.service.state.books.tally(self.uid)
