"""`python -m gateway`."""

from chassis.application import serve
from gateway.app import service

serve(service)
