"""
An upstream's answer in the client's names: the head by table, the body by what the operation says.

Nothing of the body is given before it is known that all of it may be shown; objects and other
bodies that name nothing pass as they come (FWD-7).
"""

from __future__ import annotations

from gateway.errors import UpstreamProtocolError
from gateway.message import Answer, Headers, ResponseHead
from gateway.s3.bodies import completed, copied, deleted, named
from gateway.s3.heads import about, crossing
from gateway.s3.listing import listed
from gateway.s3.mapping import View
from gateway.s3.refusals import RenewCredentials, UpstreamRefusal, redirected, refusal
from gateway.s3.table import Body

__all__ = ["RenewCredentials", "UpstreamRefusal", "inbound", "upstream_request_id"]

_BODIES = {
    Body.LIST: listed,
    Body.PARTS: named,
    Body.COMPLETED: completed,
    Body.COPIED: copied,
    Body.DELETE: deleted,
}


async def inbound(answer: Answer, view: View) -> Answer:
    """
    The answer that the client gets.

    Raises S3Error (UpstreamRefusal) for the upstream's errors, RenewCredentials for those that
    speak of our signature, UpstreamProtocolError for redirects and for what breaks a rule; the
    upstream's answer is closed then.
    """
    status = answer.status
    if status >= 400:
        raise await refusal(answer, about(crossing(answer.head.headers, view)), view)
    if status not in (200, 201, 202, 204, 206, 304):
        await answer.body.close()
        if status >= 300:
            raise redirected(answer, view)
        raise UpstreamProtocolError(f"{view.upstream.name} answers with status {status}")
    rewrite = _BODIES.get(view.operation.body_in)
    head = ResponseHead(status=status, headers=Headers(crossing(answer.head.headers, view)))
    answer = Answer(head=head, body=answer.body)
    if rewrite is None or status == 304:
        return answer
    return await rewrite(answer, view)


def upstream_request_id(answer: Answer) -> str:
    """The upstream's own name for the request, for the audit line; "" where it gave none."""
    return answer.head.headers.get("x-amz-request-id") or ""
