"""The gateway of `tests/gateway_http`."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_FILE = Path(__file__).parents[1] / "gateway_http" / "conftest.py"
_spec = spec_from_file_location("gateway_fixtures_of_client", _FILE)
_stage = module_from_spec(_spec)
_spec.loader.exec_module(_stage)

all_beat, beat, gateway = _stage.all_beat, _stage.beat, _stage.gateway
run_gateway, scheduler, stand_in = (
    _stage.run_gateway,
    _stage.scheduler,
    _stage.stand_in,
)
