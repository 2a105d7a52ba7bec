"""Run the service: `python -m wallet_factory`."""

from chassis.application import serve
from wallet_factory.app import service

serve(service)
