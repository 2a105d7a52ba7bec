"""`python -m reserve_ledger`."""

from chassis.application import serve
from reserve_ledger.app import service

serve(service)
