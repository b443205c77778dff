# The scheduler alone: no torch, no models' weights in memory. Its workers run elsewhere (workers.addresses).
#   docker build -f docker/scheduler.Dockerfile -t specsched-scheduler .
ARG BASE=python:3.11.13-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY specsched specsched
COPY models models
COPY docker/scheduler_requirements.py docker/
RUN python3 -m venv /opt/specsched \
    && python3 docker/scheduler_requirements.py > scheduler.txt \
    && /opt/specsched/bin/pip install --no-cache-dir --constraint requirements.lock hatchling -r scheduler.txt \
    && /opt/specsched/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home specsched \
    && install -d -o specsched -g specsched /var/lib/specsched
COPY --from=build /opt/specsched /opt/specsched
ENV PATH=/opt/specsched/bin:$PATH \
    HF_HUB_OFFLINE=1 \
    SPECSCHED__LOG__FORMAT=json
USER 10001:10001
VOLUME /var/lib/specsched
EXPOSE 50071 50072 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import asyncio; from specsched.client import Client; asyncio.run(Client('127.0.0.1:50071').ready(3))"]
ENTRYPOINT ["specsched"]
CMD ["serve", "--config", "/etc/specsched/specsched.yaml"]
