"""AUN's stand-in as it is mounted: the gateway and its HTTP side on the public port, the levers on the control port."""

import dataclasses

from freshd.sandbox.aun.control import AunControl
from freshd.sandbox.aun.gateway import Gateway
from freshd.sandbox.aun.http import Endpoints
from freshd.sandbox.aun.levers import AunLevers
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.stands import Ground


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What may be used in the same process."""

    aun: Aun
    levers: AunLevers
    gateway: Gateway
    endpoints: Endpoints


def mount(ground: Ground) -> Stand:
    """Make keys and certificates, and serve."""
    service = ground.service
    aun = Aun(service.ledger, service.now())
    gateway = Gateway(aun, service.stage)
    endpoints = Endpoints(aun, gateway, service)
    ground.public.add_routes([*gateway.routes(), *endpoints.routes()])
    ground.control.add_routes(AunControl(aun, gateway, endpoints, service.now).routes())
    ground.farewells.append(gateway.aclose)
    service.vouchers.append(aun.state.books.escrowed)
    return Stand(aun=aun, levers=AunLevers(aun), gateway=gateway, endpoints=endpoints)
