"""Run the service: `python -m ephemeral_manager`."""

from chassis.application import serve
from ephemeral_manager.app import service

serve(service)
