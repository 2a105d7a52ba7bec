"""`python -m notification` runs the service."""

from chassis.application import serve
from notification.app import service

serve(service)
