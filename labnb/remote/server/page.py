"""The page and its program: files of this package, and the headers that let a browser run nothing else."""

from importlib.resources import files

from aiohttp import web

from labnb.remote.observed import Observed

_KINDS = {
    "chart.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "series.js": "text/javascript",
    "text.js": "text/javascript",
    "uplot.LICENSE.txt": "text/plain",
    "uplot.css": "text/css",
    "uplot.js": "text/javascript",
}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""

FREE = "/assets/"
"""Where the page's program is: it knows nothing of the session, so it needs no token."""


class Page:
    """The page of all variables, and one for each."""

    def __init__(self, observed: Observed) -> None:
        folder = files("labnb.remote.server") / "assets"
        self._observed = observed
        self.shell = (folder / "page.html").read_text("utf-8")
        self._assets = {name: (folder / name).read_bytes() for name in _KINDS}

    def routes(self) -> list[web.RouteDef]:
        """Return what is asked where."""
        return [
            web.get("/", self.overview),
            web.get("/plot/{name:.+}", self.plot),
            web.get("/favicon.ico", self.icon),
            web.get(FREE + "{name}", self.asset),
        ]

    def answer(self, status: int = 200) -> web.Response:
        """Return the page; its program asks for the numbers, and for a token where one is wanted."""
        return web.Response(status=status, text=self.shell, content_type="text/html")

    async def overview(self, request: web.Request) -> web.Response:
        """Answer with the page of all variables."""
        return self.answer()

    async def plot(self, request: web.Request) -> web.Response:
        """Answer with the page of one variable; one that is not logged yet is waited for there."""
        known = request.match_info["name"] in self._observed.logged_variables()
        return self.answer(200 if known else 404)

    async def icon(self, request: web.Request) -> web.Response:
        """Answer with the page's icon."""
        return web.Response(body=self._assets["icon.svg"], content_type="image/svg+xml")

    async def asset(self, request: web.Request) -> web.Response:
        """Answer with a part of the page's program."""
        name = request.match_info["name"]
        if name not in self._assets:
            raise web.HTTPNotFound(text="no such part of the page")
        return web.Response(body=self._assets[name], content_type=_KINDS[name], charset="utf-8")
