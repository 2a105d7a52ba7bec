from chassis.application import serve
from toy_service.app import service

serve(service)
