# The server, and nothing that trains: no torch, no compiler. How to run it: docs/serving.md.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/shopstill
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# Bytecode is written here, since nothing can be written where it runs.
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/shopstill/bin/python --cache-dir /var/cache/pip --disable-pip-version-check \
    install --compile --only-binary :all: --constraint constraints.txt .
# What wheels bring along and no server loads: tests, headers, Arrow's clients of networks. Arrow is imported to see that it bears it.
RUN cd /opt/shopstill/lib/python*/site-packages \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && rm -r pyarrow/include pyarrow/src pyarrow/*_flight* pyarrow/*_s3* \
    && /opt/shopstill/bin/python -c "import pyarrow.compute, pyarrow.dataset, pyarrow.parquet"

FROM python:${PYTHON}-slim
COPY --from=build /opt/shopstill /opt/shopstill
# A volume that is new takes the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 shopstill \
    && useradd --uid 10001 --gid shopstill --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin shopstill \
    && install --directory --owner=shopstill --group=shopstill --mode=0750 /data/index
# Recent releases of onnxruntime report starts, sessions and errors to their makers.
ENV PATH=/opt/shopstill/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1
# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data/index
EXPOSE 8080
STOPSIGNAL SIGTERM
# A large catalogue is indexed at the first start, before anything listens.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10m --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8080, timeout=2); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["shopstill"]
CMD ["serve", "/data/bundles/student", "--products", "/data/shop/products.jsonl", "--index", "/data/index", "--host", "0.0.0.0"]
