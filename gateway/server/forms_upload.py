"""
Uploads by a browser's form (SIG-17): who signed it, what it allows, and then a PutObject as any other.

Only the form's fields are read before its signature is believed, 20 KiB at most; a cookie that the
browser sends along counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.s3.post import is_form, permitted, read_form
from gateway.s3.request import parse

if TYPE_CHECKING:
    from gateway.identity import Proof
    from gateway.message import Answer, Body, RequestHead
    from gateway.s3.post import Form
    from gateway.server.exchange import Exchange


class Signers(Protocol):
    """Believes a form's signature."""

    async def form(self, head: RequestHead, form: Form, ex: Exchange) -> Proof: ...


class Carrier(Protocol):
    """The one way to a decision, and upstream."""

    async def handle(
        self, head: RequestHead, body: Body, ex: Exchange, *, proof: Proof | None = None
    ) -> Answer: ...


def may_be_form(head: RequestHead) -> bool:
    """Worth a closer look: cheap, for it is asked of every request."""
    return (
        head.method == "POST"
        and (head.headers.get("content-type") or "")[:10].lower() == "multipart/"
    )


class FormUploads:
    """Takes forms; what only looks like one goes the way of every request."""

    def __init__(self, *, signers: Signers, carrier: Carrier) -> None:
        self._signers = signers
        self._carrier = carrier

    async def handle(self, head: RequestHead, body: Body, ex: Exchange) -> Answer:
        """What the browser gets. Raises S3Error, UpstreamError."""
        request = parse(head, ex.snapshot.hosts)
        if not is_form(head, request):
            return await self._carrier.handle(head, body, ex)
        ex.event.asked(request)
        form = await read_form(head, body)
        proof = await self._signers.form(head, form, ex)
        public_url = ex.snapshot.public_url
        upload = permitted(form, head, request, now=ex.now, public_url=public_url)
        answer = await self._carrier.handle(upload.head, await upload.body(), ex, proof=proof)
        return upload.answer(answer, public_url)
