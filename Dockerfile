# docker build --build-arg TORCH_INDEX=URL --tag pipeline .
#   URL: the --index-url that PyTorch's "Start Locally" page gives for pip and CPU. Left out, torch
#   comes from where the other packages come from, usually with some 5 GB of GPU libraries.
#   --build-arg EXTRAS=postgresql,optuna: pyproject.toml's optional dependencies, any of them.
#   --build-arg TORCH_VERSION=VERSION: another one than that of constraints.txt.
#   --secret id=ca.crt,src=FILE: the certificates that pip trusts, behind a proxy with its own;
#   --secret id=pip.conf,src=FILE: a configuration of pip. Both are there for the build alone.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_INDEX=""
ARG TORCH_VERSION=""
ARG EXTRAS=""
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
# The dependencies come before the code, so that a change of code doesn't install them again.
COPY pyproject.toml constraints.txt ./
RUN if [ -n "$TORCH_VERSION" ]; then \
        sed --in-place "s/^torch==.*/torch==$TORCH_VERSION/" constraints.txt; fi \
    && python -c 'import sys, tomllib; \
        project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        extras = project["optional-dependencies"]; \
        said = sys.argv[1]; wanted = said.replace(",", " ").split(); \
        known = ", ".join(extras); \
        set(wanted) <= set(extras) or sys.exit(f"EXTRAS={said}: must be some of {known}."); \
        print(*sum(map(extras.get, wanted), project["dependencies"]), sep="\n")' \
        "$EXTRAS" > requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=ca.crt \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    if [ -f /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi \
    && pip install --no-deps ${TORCH_INDEX:+--index-url="$TORCH_INDEX"} \
        --constraint constraints.txt torch \
    && pip install --constraint constraints.txt --requirement requirements.txt
COPY pipeline /app/pipeline
COPY hydra_plugins /app/hydra_plugins
COPY conf /app/conf
# Any user may read the code, whatever the permissions outside.
RUN chmod -R a+rX /app && python -m compileall -q /app

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# Any user may write to the root, and what libraries cache goes to /tmp.
RUN install --directory --mode=1777 /project
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONSAFEPATH=1 HOME=/tmp
USER 1000:1000
WORKDIR /project
# The root, and with it the data in /project/data, where another folder may be mounted;
# /tmp too, so that a container runs on a read-only file system.
VOLUME ["/project", "/tmp"]
ENTRYPOINT ["python", "-m", "pipeline"]
