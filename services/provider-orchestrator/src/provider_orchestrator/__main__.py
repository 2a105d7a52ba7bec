from chassis.application import serve
from provider_orchestrator.app import service

serve(service)
