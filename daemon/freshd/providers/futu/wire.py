"""What is sent to the platform and to a broker: one function per operation, each a whole request.  Pure.

Rules
-----
* JSON bodies; numbers of accounts and brokers are numbers, flags are texts, as the service has them.
* A field that the service counts among its checks is never left out: a missing one is refused as a wrong host is.
* Signatures of a device check stand in the address of one GET, for the service takes them nowhere else; no address is
  ever shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from freshd.core.model import Record
from freshd.providers.futu import unknowns
from freshd.providers.futu.broker_options import Options as BrokerOptions
from freshd.providers.futu.case import AUTH_CODE, DEVICE_ID, DEVICE_SIG, TICKET, WEB_SIG, held, uid_of
from freshd.providers.futu.options import Options
from freshd.providers.http import Call

LOGIN_PATH: Final = "/authority/"
REPULL_PATH: Final = "/authority/repull_auth_code"
SMS_PATH: Final = "/authority/req_device_code"
VERIFY_PATH: Final = "/authority/verify_device_code"
THIRD_PATH: Final = "/authority/third_factor/auth"
BROKER_PATH: Final = "/broker_auth/client_auth"
YES: Final = "true"


def login(options: Options, record: Record) -> Call:
    """Platform login with the ticket that is held."""
    body = {
        **_who(options, record),
        **_device(options, record),
        unknowns.TICKET: held(record, TICKET) or "",
        unknowns.DEVICE_SIGNATURE: held(record, DEVICE_SIG) or "",
        "sens_state": YES,
    }
    return _post(options, LOGIN_PATH, body)


def sms(options: Options, signature: str) -> Call:
    """Has an SMS sent to the account's phone."""
    query = {"dvs": signature, "send_mode": "0", "is_send_no_wait": "False"}
    return _get(options, SMS_PATH, query)


def verify(options: Options, record: Record, signature: str, code: str) -> Call:
    """Device check with the code of the SMS."""
    body = {
        "uid": uid_of(record),
        "verify_mode": 0,
        **_device(options, record),
        "sens_state": YES,
        unknowns.VERIFY_SIGNATURE: signature,
        unknowns.VERIFY_CODE: code,
    }
    return _post(options, VERIFY_PATH, body)


def third_factor(options: Options, record: Record, signature: str) -> Call:
    """Ends a login that asked for a third factor."""
    body = {"uid": uid_of(record), "sig": signature, **_device(options, record), "tgtgt": held(record, TICKET) or ""}
    return _post(options, THIRD_PATH, body)


def salt(options: Options) -> Call:
    """Asks how a password would be salted: a look that spends nothing."""
    who = options.identity
    phone = {} if who.region_no is None else {"is_phone": YES, "region_no": who.region_no}
    return _get(options, unknowns.SALT_PATH, {unknowns.SALT_ACCOUNT: who.name, "ret_no_uid": YES, **phone})


def repull(options: Options, platform: Record, broker_id: int) -> Call:
    """Asks the platform for a new code of one broker."""
    body = {
        "uid": uid_of(platform),
        "device_id": held(platform, DEVICE_ID),
        "web_sig": held(platform, WEB_SIG),
        "broker_id": broker_id,
    }
    return _post(options, REPULL_PATH, body)


def broker_auth(options: BrokerOptions, above: Options, record: Record, platform: Record) -> Call:
    """Spends a broker's code at the broker."""
    body = {
        "uid": uid_of(platform),
        "auth_code": held(record, AUTH_CODE),
        "device_id": held(platform, DEVICE_ID),
        "broker_id": options.broker_id,
    }
    headers = {**_headers(above), "Content-Type": "application/json"}
    return Call("POST", options.base + BROKER_PATH, headers, _json(body), options.route)


def _who(options: Options, record: Record) -> Mapping[str, object]:
    """By number where it is known, else by name; a phone says its country either way."""
    who, uid = options.identity, uid_of(record)
    phone = {} if who.region_no is None else {"is_phone": YES, "region_no": who.region_no}
    return {**({"uid": uid} if uid else {"account": who.name}), **phone}


def _device(options: Options, record: Record) -> Mapping[str, object]:
    return {
        "device_id": held(record, DEVICE_ID) or "",
        "device_alias": options.device_alias,
        "device_type": options.device_type,
        "os_ver": options.os_ver,
    }


def _headers(options: Options) -> dict[str, str]:
    return {
        unknowns.CLIENT_TYPE_HEADER: unknowns.CLIENT_TYPES[options.platform],
        unknowns.CLIENT_VERSION_HEADER: options.client_version,
    }


def _post(options: Options, path: str, body: Mapping[str, Any]) -> Call:
    headers = {**_headers(options), "Content-Type": "application/json"}
    return Call("POST", options.base + path, headers, _json(body), options.route)


def _get(options: Options, path: str, query: Mapping[str, str]) -> Call:
    return Call("GET", f"{options.base}{path}?{urlencode(query)}", _headers(options), None, options.route)


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
