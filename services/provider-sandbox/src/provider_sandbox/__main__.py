"""`python -m provider_sandbox`, and `invoiceos sandbox` where it is installed beside it."""

import typer
from pydantic import ValidationError

from provider_sandbox.settings import SandboxSettings

app = typer.Typer(add_completion=False, help="Play Stripe, PayPal and Circle.")


@app.callback(invoke_without_command=True)
def sandbox() -> None:
    """Play Stripe, PayPal and Circle, for development and tests; see .env.example."""
    try:
        settings = SandboxSettings()
    except ValidationError as error:
        for wrong in error.errors():
            typer.echo(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}".lstrip(": "), err=True)
        raise typer.Exit(2) from None
    _serve(settings)


def _serve(settings: SandboxSettings) -> None:
    from provider_sandbox.app import application
    from provider_sandbox.core.provider import discover
    from provider_sandbox.core.store import Store
    from provider_sandbox.core.world import World
    from provider_sandbox.server import server

    world = World(
        Store(settings.sandbox_file),
        discover(),
        seed=settings.sandbox_seed,
        public_url=settings.public_url,
    )
    server(application(world), settings.sandbox_host, settings.sandbox_port).run()


if __name__ == "__main__":
    app()
