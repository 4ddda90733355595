# syntax=docker/dockerfile:1
# Built in two stages: the second holds Python, the installed package, and nothing to build with.
ARG PYTHON=docker.io/library/python:3.11-slim
FROM ${PYTHON} AS build
ARG EXTRAS=redis,checksums
WORKDIR /src
RUN python -m venv /opt/gateway
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
# What was installed, by name, version and source, stays with the image.
RUN /opt/gateway/bin/pip install --no-cache-dir ".[${EXTRAS}]" \
 && /opt/gateway/bin/pip inspect --local > /opt/gateway/sbom.json \
 && /opt/gateway/bin/pip uninstall --yes setuptools pip

FROM ${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="s3-auth-gateway" \
      org.opencontainers.image.description="The front door to S3" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.sbom="/opt/gateway/sbom.json"
COPY --from=build /opt/gateway /opt/gateway
# Nothing is written but state and logs: run with a read-only root and a volume here.
RUN mkdir -p /etc/gateway /var/lib/gateway && chown 10001:10001 /var/lib/gateway
USER 10001:10001
WORKDIR /var/lib/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GATEWAY_CONFIG=/etc/gateway/gateway.yaml
EXPOSE 8080 9090
# No shell and no curl: the gateway asks itself. SIGTERM drains; one worker needs no init in front of it.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["gateway", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["gateway"]
CMD ["serve"]
