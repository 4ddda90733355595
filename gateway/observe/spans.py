"""
OpenTelemetry: one server span for each sampled request, made from its audit event.

On where the extra `otel` is installed and OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set;
the other OTEL_* variables mean what OpenTelemetry says: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_HEADERS. Requests that bring a sampled trace are in it; of those that
bring none, OTEL_TRACES_SAMPLER_ARG (0 to 1) are.

A span is made when the request has ended: nothing is kept on the way, and what is in it is what the
audit line says, so a secret is as little in the one as in the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from gateway import __version__
from gateway.observe.audit import AuditEvent

if TYPE_CHECKING:
    from gateway.observe.tracing import Trace

SERVICE = "s3-auth-gateway"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Somebody said where spans are to go."""
    return any(environ.get(name) for name in _ENDPOINTS) and not _disabled(environ)


def _disabled(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").lower() == "true"


def ratio(environ: Mapping[str, str] = os.environ) -> float:
    """The part of the traces begun here that are sampled; 1 where spans are wanted and nothing is said."""
    if not wanted(environ):
        return 0.0
    try:
        return min(1.0, max(0.0, float(environ.get("OTEL_TRACES_SAMPLER_ARG") or 1.0)))
    except ValueError:
        return 1.0


@final
class Spans:
    """Sends spans in the background. Without the extra, making one raises ImportError saying so."""

    def __init__(self, exporter: Any = None) -> None:
        """`exporter` is for tests; else OTLP over HTTP."""
        try:
            from opentelemetry import trace as api  # noqa: PLC0415 # an extra: there only where it is asked for
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk import trace as sdk  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            raise ImportError(
                "spans need the extra: pip install 's3-auth-gateway[otel]'"
            ) from error
        self._api: Any = api
        self._sdk: Any = sdk
        name = os.environ.get("OTEL_SERVICE_NAME") or SERVICE
        self._resource = Resource.create({"service.name": name, "service.version": __version__})
        self._processor: Any = BatchSpanProcessor(exporter or OTLPSpanExporter())

    def write(self, event: AuditEvent, trace: Trace) -> None:
        """The request has ended. Neither waits nor raises: a full queue drops the span."""
        if trace.sampled:
            self._processor.on_end(self._span(event, trace))

    def close(self) -> None:
        """Sends what waits. Waits itself: not to be called in the event loop."""
        self._processor.shutdown()

    def _span(self, event: AuditEvent, trace: Trace) -> Any:
        start = int(event.time.timestamp() * 1e9)
        failed = event.status >= 500
        status = self._api.Status(
            self._api.StatusCode.ERROR if failed else self._api.StatusCode.UNSET
        )
        return self._sdk.ReadableSpan(
            name=event.operation or event.http_method or "request",
            context=self._context(trace, trace.span_id, remote=False),
            parent=self._context(trace, trace.parent_id, remote=True) if trace.parent_id else None,
            resource=self._resource,
            attributes=attributes(event),
            kind=self._api.SpanKind.SERVER,
            status=status,
            start_time=start,
            end_time=start + int(event.seconds * 1e9),
        )

    def _context(self, trace: Trace, span_id: str, *, remote: bool) -> Any:
        return self._api.SpanContext(
            trace_id=int(trace.trace_id, 16),
            span_id=int(span_id, 16),
            is_remote=remote,
            trace_flags=self._api.TraceFlags(self._api.TraceFlags.SAMPLED),
            trace_state=self._api.TraceState.from_header([trace.state] if trace.state else []),
        )


def attributes(event: AuditEvent) -> dict[str, str | int]:
    """By the semantic conventions for HTTP servers and S3, and ours under `gateway.`."""
    named: dict[str, str | int] = {
        "http.request.method": event.http_method,
        "http.response.status_code": event.status,
        "http.request.body.size": event.bytes_in,
        "http.response.body.size": event.bytes_out,
        "client.address": event.peer,
        "aws.s3.bucket": event.bucket,
        "aws.s3.key": event.key,
        "aws.request_id": event.upstream_request_id,
        "enduser.id": event.subject,
        "error.type": event.code,
        "gateway.request_id": event.request_id,
        "gateway.issuer": event.issuer,
        "gateway.decision": event.decision,
        "gateway.reason": event.reason,
        "gateway.rule": event.rule,
        "gateway.upstream": event.upstream,
    }
    return {name: value for name, value in named.items() if value}
