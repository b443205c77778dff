# One worker: the models and their engine. On a CPU by default; for NVIDIA GPUs:
#   docker build -f docker/worker.Dockerfile -t specsched-worker .
#   docker build -f docker/worker.Dockerfile -t specsched-worker:cuda \
#     --build-arg BASE=nvidia/cuda:12.8.1-runtime-ubuntu24.04 \
#     --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
ARG BASE=python:3.11.13-slim-bookworm
FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN command -v python3 && python3 -m venv /tmp/probe \
    || (apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*)
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY specsched specsched
COPY models models
RUN python3 -m venv /opt/specsched \
    && /opt/specsched/bin/pip install --no-cache-dir --index-url ${TORCH_INDEX} $(grep '^torch==' requirements.lock) \
    && /opt/specsched/bin/pip install --no-cache-dir --constraint requirements.lock hatchling \
    && /opt/specsched/bin/pip install --no-cache-dir --constraint requirements.lock --no-build-isolation '.[fast,redis,telemetry]'

FROM ${BASE}
RUN (command -v python3 \
    || (apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*)) \
    && useradd --uid 10001 --no-create-home specsched \
    && install -d -o specsched -g specsched /var/cache/specsched
COPY --from=build /opt/specsched /opt/specsched
ENV PATH=/opt/specsched/bin:$PATH \
    OMP_WAIT_POLICY=passive \
    HF_HUB_OFFLINE=1 \
    NUMBA_CACHE_DIR=/var/cache/specsched \
    SPECSCHED__LOG__FORMAT=json
USER 10001:10001
EXPOSE 50081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python3", "-c", "import asyncio; from specsched.client import Client; asyncio.run(Client('127.0.0.1:50081').ready(3))"]
ENTRYPOINT ["specsched"]
CMD ["worker", "--listen", "0.0.0.0:50081", "--id", "worker-0"]
