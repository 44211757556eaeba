"""A stand-in for two AWS APIs on loopback: the price list (JSON) and EC2's spot price history (XML)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

Product = dict[str, object]


def product(usage: str, *tiers: tuple[str, str], **attributes: str) -> Product:
    """One product as GetProducts has it, with a tier for each (begin, USD)."""
    dimensions = {
        f"{usage}.{begin}": {"beginRange": begin, "pricePerUnit": {"USD": usd}, "unit": "any"} for begin, usd in tiers
    }
    terms = {"OnDemand": {"offer": {"priceDimensions": dimensions}}} if dimensions else {}
    return {"product": {"sku": f"SKU{usage}", "attributes": {"usagetype": usage, **attributes}}, "terms": terms}


class PriceListServer(ThreadingHTTPServer):
    """Serves `products` by service; `spot` are (zone, USD) newest first, `asked` the filters it was asked for."""

    def __init__(self, products: dict[str, list[Product]], spot: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.products, self.spot = products, spot
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.refuse: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(server: PriceListServer) -> Iterator[PriceListServer]:
    """Serve for the time of a with block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: PriceListServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuse:
            self._answer(400, "application/x-amz-json-1.1", json.dumps({"__type": self.server.refuse, "message": "no"}))
        elif self.headers.get("X-Amz-Target", "").endswith("GetProducts"):
            self._answer(200, "application/x-amz-json-1.1", self._products(json.loads(body)))
        else:
            assert parse_qs(body.decode())["Action"] == ["DescribeSpotPriceHistory"]
            self._answer(200, "text/xml", self._spots())

    def _products(self, asked: dict[str, object]) -> str:
        filters: list[dict[str, str]] = asked["Filters"]  # type: ignore[assignment]
        wanted = {one["Field"]: one["Value"] for one in filters}
        self.server.asked.append((str(asked["ServiceCode"]), wanted))
        known = self.server.products.get(str(asked["ServiceCode"]), [])
        name = wanted.get("instanceType")
        hosts = [one for one in known if name is None or name in json.dumps(one)]
        # In two pages, so that a reader of the first one only finds half.
        middle = len(hosts) // 2
        page = hosts[middle:] if asked.get("NextToken") else hosts[:middle]
        answer: dict[str, object] = {"FormatVersion": "aws_v1", "PriceList": [json.dumps(one) for one in page]}
        if not asked.get("NextToken"):
            answer["NextToken"] = "second"
        return json.dumps(answer)

    def _spots(self) -> str:
        items = "".join(
            f"<item><availabilityZone>{zone}</availabilityZone><spotPrice>{usd}</spotPrice></item>"
            for zone, usd in self.server.spot
        )
        space = "http://ec2.amazonaws.com/doc/2016-11-15/"
        return (
            f'<DescribeSpotPriceHistoryResponse xmlns="{space}"><spotPriceHistorySet>{items}</spotPriceHistorySet>'
            "</DescribeSpotPriceHistoryResponse>"
        )

    def _answer(self, status: int, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
