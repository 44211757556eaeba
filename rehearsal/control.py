"""The control port: what the machines are, what a scenario orders, and the order to end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

from pydantic import ValidationError

from rehearsal.bake.hub import HubFaults
from rehearsal.cloud_config import EmulatorValue, EngineConfig
from rehearsal.emulated_aws.calls import Calls
from rehearsal.emulated_aws.faults import ApiFaults
from rehearsal.emulated_aws.scaling_groups import WORLD, rebalance_recommendation, spot_notice
from rehearsal.http_server import Request, Response
from rehearsal.machines import Machine, Supervisor
from rehearsal.orders import (
    ORDERS,
    AwsDenied,
    AwsFault,
    AwsRestored,
    Capacity,
    EnginesRestored,
    HubFault,
    MetadataDown,
    MetadataRestored,
    NextBuildHosts,
    NextEngines,
    NextEnginesBroken,
    Order,
    Rebalance,
    SignalProgram,
    SpotNotice,
)
from rehearsal.programs import signal_program


@dataclass
class Control:
    """Answers on the control port. GET tells, POST takes an order: JSON in, `{}` out, 400 and a sentence if refused."""

    supervisor: Supervisor
    stop: asyncio.Event
    api: ApiFaults = field(default_factory=ApiFaults)
    calls: Calls = field(default_factory=Calls)
    hub: HubFaults = field(default_factory=HubFaults)

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        match (request.method, request.path):
            case ("GET", path):
                return self._tell(path)
            case ("POST", "/stop"):
                self.stop.set()
                return _json({})
            case ("POST", path):
                return self._take(path, request.body)
            case _:
                return Response(HTTPStatus.NOT_FOUND)

    def _tell(self, path: str) -> Response:
        match path:
            case "/health":
                return _json({"pid": os.getpid(), "work": str(self.supervisor.folder.parent)})
            case "/machines":
                return _json([machine.report() for machine in self.supervisor.machines.values()])
            case "/incidents":
                return _json([asdict(incident) for incident in self.supervisor.incidents])
            case "/switched-on":
                return _json(self.supervisor.switched_on())
            case "/calls":
                return _json(self.calls.counted())
            case _:
                return Response(HTTPStatus.NOT_FOUND)

    def _take(self, path: str, body: bytes) -> Response:
        if path not in ORDERS:
            return _refuse(f"no such order; use one of {', '.join(sorted(ORDERS))}")
        try:
            self._carry_out(ORDERS[path].model_validate_json(body))
        except ValidationError as error:
            first = error.errors()[0]
            return _refuse(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        except ValueError as error:
            return _refuse(str(error))
        return _json({})

    def _carry_out(self, order: Order) -> None:
        """Do what is ordered. Raises ValueError when it cannot be done."""
        match order:
            case SpotNotice() | Rebalance() | Capacity():
                self._to_market(order)
            case AwsFault() | AwsRestored() | AwsDenied():
                self._to_api(order)
            case HubFault() | NextBuildHosts():
                self._to_bakes(order)
            case MetadataDown(instance=name):
                self.supervisor.metadata_outage.begin(self._machine(name).instance.id if name else None)
            case MetadataRestored():
                self.supervisor.metadata_outage.end()
            case SignalProgram(instance=name, program=program, signal=number):
                signal_program(self._machine(name).manager, program, number)
            case NextEngines() | NextEnginesBroken() | EnginesRestored():
                self._to_engines(order)

    def _to_api(self, order: AwsFault | AwsRestored | AwsDenied) -> None:
        match order:
            case AwsFault():
                self.api.set(order)
            case AwsRestored():
                self.api.set(None)
            case AwsDenied(actions=actions):
                self.calls.deny(actions)

    def _to_bakes(self, order: HubFault | NextBuildHosts) -> None:
        match order:
            case HubFault(corrupt=corrupt, cut=cut):
                self.hub.corrupt, self.hub.cut = frozenset(corrupt), frozenset(cut)
            case NextBuildHosts(small=small):
                self.supervisor.set_small_folders(small)

    def _to_engines(self, order: NextEngines | NextEnginesBroken | EnginesRestored) -> None:
        match order:
            case NextEngines(emulator=settings):
                self.supervisor.next_engine = self._with_settings(settings)
            case NextEnginesBroken(words=words):
                usual = self.supervisor.config.engine
                self.supervisor.next_engine = usual.model_copy(update={"broken": words})
            case EnginesRestored():
                self.supervisor.next_engine = None

    def _to_market(self, order: SpotNotice | Rebalance | Capacity) -> None:
        region = self.supervisor.config.region
        match order:
            case SpotNotice(instance=instance):
                spot_notice(region, instance)
            case Rebalance(instance=instance):
                rebalance_recommendation(region, instance)
            case Capacity(zone=zone, available=available):
                WORLD.market.set_capacity(zone, available=available)

    def _machine(self, instance: str) -> Machine:
        machine = self.supervisor.machines.get(instance)
        if machine is None:
            raise ValueError(f"{instance}: no such machine is switched on")
        return machine

    def _with_settings(self, settings: Mapping[str, EmulatorValue]) -> EngineConfig:
        usual = self.supervisor.config.engine
        if usual.kind != "emulator":
            raise ValueError("the real engine takes no emulator settings; order broken engines instead")
        return usual.model_copy(update={"emulator": {**usual.emulator, **settings}})


def _json(document: object) -> Response:
    return Response(HTTPStatus.OK, json.dumps(document).encode(), "application/json")


def _refuse(sentence: str) -> Response:
    return Response(HTTPStatus.BAD_REQUEST, f"{sentence}\n".encode())
