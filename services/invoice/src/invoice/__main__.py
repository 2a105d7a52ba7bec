"""`python -m invoice`."""

from chassis.application import serve
from invoice.app import service

serve(service)
