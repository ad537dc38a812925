"""`python -m gateway_http`: the gateway's HTTP service as a process of its own."""

import uvloop

from gateway_http.app import create_app
from gateway_http.settings import GatewaySettings
from runtime.service import main

if __name__ == "__main__":
    main(GatewaySettings, create_app, loop_factory=uvloop.new_event_loop)
