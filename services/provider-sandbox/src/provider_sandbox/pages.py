"""The page where a person pays, or fails to: plain forms, readable on a phone, light and dark."""

from html import escape
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from provider_sandbox.core.provider import Choice, Page
from provider_sandbox.core.world import World

_STYLE = """
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --ink: #16191d; --soft: #5b6470;
  --line: #d9dde3; --good: #12633f; --on-good: #fff; --bad: #a02525; }
@media (prefers-color-scheme: dark) { :root { --ground: #101317; --card: #191d23; --ink: #eef1f4;
  --soft: #a3adb8; --line: #333a43; --good: #57c493; --on-good: #08130d; --bad: #f08f8f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 28rem; margin: 0 auto; padding: 1rem; }
.mark { color: var(--soft); font-size: .875rem; margin: .5rem 0 1rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.25rem; margin-bottom: 1rem; }
h1 { font-size: 1rem; font-weight: 600; margin: 0; }
.amount { font-size: 2rem; font-weight: 700; margin: .25rem 0 .75rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; text-align: right; }
label { display: block; margin: 0 0 .75rem; color: var(--soft); font-size: .875rem; }
input { display: block; width: 100%; margin-top: .25rem; padding: .75rem; font: inherit;
  color: var(--ink); background: var(--ground); border: 1px solid var(--line);
  border-radius: .5rem; font-size: 1rem; }
button { width: 100%; min-height: 3rem; font: inherit; font-weight: 600; border-radius: .5rem;
  border: 1px solid var(--line); background: transparent; color: var(--ink); cursor: pointer; }
button.good { background: var(--good); border-color: var(--good); color: var(--on-good); }
button:focus-visible, input:focus-visible { outline: 3px solid var(--good); outline-offset: 2px; }
form { margin: 0; } form + form { margin-top: .75rem; }
.error { color: var(--bad); font-weight: 600; margin: 0 0 1rem; }
.note { margin: 0; }
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def address(world: World, provider: str, key: str) -> str:
    """Where the page of an object is."""
    return f"{world.public_url}/pages/{provider}/{key}"


def router(world: World) -> APIRouter:
    """The pages, and what their forms send."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/pages/{provider}/{key}")
    async def show(provider: str, key: str) -> Response:
        world.settle()
        player = world.providers.get(provider)
        page = player.page(world, key) if player else None
        world.store.flush()
        if player is None or page is None:
            gone = Page(
                "There is nothing to pay here", "", [], note="The link is wrong or too old."
            )
            return _html(gone, "Provider sandbox", 404)
        return _html(page, player.title, 200)

    @routes.post("/pages/{provider}/{key}")
    async def choose(provider: str, key: str, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        world.settle()
        player = world.providers.get(provider)
        if player is None or player.page(world, key) is None:
            return await show(provider, key)
        outcome = player.choose(world, key, form)
        world.store.flush()
        if isinstance(outcome, str):
            return RedirectResponse(outcome, 303)
        return _html(outcome, player.title, 422 if outcome.error else 200)

    return routes


def _html(page: Page, provider: str, status: int) -> Response:
    return HTMLResponse(render(page, provider), status, _HEADERS)


def render(page: Page, provider: str) -> str:
    """The page as HTML; whatever stands in it is text."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in page.rows)
    parts = [
        '<section class="card">',
        f"<h1>{escape(page.title)}</h1>",
        f'<p class="amount">{escape(page.amount)}</p>' if page.amount else "",
        f"<dl>{rows}</dl>" if rows else "",
        "</section>",
    ]
    if page.note or page.choices or page.error:
        error = f'<p class="error" role="alert">{escape(page.error)}</p>' if page.error else ""
        note = f'<p class="note">{escape(page.note)}</p>' if page.note else ""
        forms = "".join(_form(choice) for choice in page.choices)
        parts.append(f'<section class="card">{error}{note}{forms}</section>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(page.title)} · {escape(provider)} sandbox</title>"
        f"<style>{_STYLE}</style></head><body><main>"
        f'<p class="mark">{escape(provider)} sandbox · no money moves here</p>'
        f"{''.join(parts)}</main></body></html>"
    )


def _form(choice: Choice) -> str:
    inputs = "".join(
        f'<label>{escape(label)}<input name="{escape(name)}" value="{escape(value)}" '
        'autocomplete="off"></label>'
        for name, label, value in choice.fields
    )
    kind = ' class="good"' if choice.good else ""
    return (
        f'<form method="post">{inputs}<button{kind} name="choice" '
        f'value="{escape(choice.value)}">{escape(choice.label)}</button></form>'
    )


def money_text(minor: int, currency: str, decimals: int = 2) -> str:
    """`12.34 USD`."""
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    if not decimals:
        return f"{sign}{whole} {currency.upper()}"
    digits = str(whole).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]} {currency.upper()}"
