"""A page to drop files into: it sends each here, and shows it as a report does."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.recorded_at import Clock
from samcli.engine.options import RunOptions
from samcli.records import Record
from samcli.report.entry import entries
from samcli.report.everything import everything
from samcli.report.page import empty_page, text
from samcli.report.picture import Picture
from samcli.serving.desk import Order
from samcli.serving.gate import RefusedError
from samcli.serving.http.answers import Hearing, close, leave


class DropPage:
    """The page, and what it asks."""

    def __init__(self, hearing: Hearing) -> None:
        self.hearing, self.task = hearing, everything(hearing.desk.model)
        self.page, policy = empty_page("sam", f"heard by {hearing.desk.model.name}")
        self.headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }

    def routes(self) -> list[Route]:
        return [Route("/", self.shown), Route("/page/heard", self.heard, methods=["POST"])]

    async def shown(self, request: Request) -> Response:
        return Response(self.page, media_type="text/html", headers=self.headers)

    async def heard(self, request: Request) -> Response:
        """One recording: what is heard in it, and its picture, drawn while it is decoded."""
        asked = await self.hearing.read_sounds(request)
        if len(asked.sounds) != 1 or asked.wishes:
            close(asked)
            raise RefusedError(400, "body", "Send one recording, and nothing beside it.")
        picture = Picture(self.hearing.desk.model.sample_rate)

        def order(item: Input) -> Order:
            drawn = Order(item, self.task, RunOptions(), watch=lambda piece: picture.add(piece.wave))
            return self.hearing.desk.take(drawn)

        orders = self.hearing.orders(asked, order)
        try:
            records = await self.hearing.heard(orders[0], request)
        finally:
            leave(orders)
        return JSONResponse(told(records, picture))


def told(records: list[Record], picture: Picture) -> dict[str, Any]:
    """What the page shows of a recording, as its script reads it."""
    (entry,) = entries(records, Clock())
    return {"facts": entry.facts(), "picture": text(picture.image())}
