# memgrid with everything it needs at run time, the embedding model included: nothing is downloaded later.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/memgrid
ENV PATH=/opt/memgrid/bin:$PATH
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE serve_app.py ./
COPY memgrid memgrid
COPY cluster cluster
COPY actors actors
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
# KubeRay's probes call bash and wget inside the container.
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home memgrid && install -d -o memgrid -g memgrid /data
COPY --from=build /opt/memgrid /opt/memgrid
ENV PATH=/opt/memgrid/bin:$PATH \
    MEMGRID_DATA_DIR=/data/memgrid
USER memgrid
WORKDIR /home/memgrid
VOLUME /data
EXPOSE 8005
# On loopback, which is the container's own: from outside it is reached with MEMGRID_HOST=0.0.0.0, and that
# needs a key (`memgrid keys create`) in /data first.
CMD ["memgrid", "serve"]
