# From the root of the repository (podman: with --format docker, because the OCI format has no health check):
#   docker build -f demos/edge/serve.Dockerfile -t ov-mobilenet-serve .
#   (umask 077; openssl rand -hex 32 > token; sudo chown 10001 token)
# It needs no capability and no writable folder:
#   docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -p 127.0.0.1:8000:8000 -p 127.0.0.1:8001:8001 -v "$PWD/token:/run/secrets/token:ro" ov-mobilenet-serve
#   curl -H "Authorization: Bearer $(sudo cat token)" --data-binary @sign.jpg http://127.0.0.1:8000/v1/classify
# Arguments after the name of the image replace the model and the options: docker run … ov-mobilenet-serve mine.xml …
# The health check asks port 8000, so publish another port with -p and leave --port. Zoo models other than the sample are
# downloaded at the start and need a volume that keeps them: -v ov-mobilenet-cache:/home/serve/.cache
# BASE: another image with python3 >= 3.10, its module venv, and useradd, such as Debian with the package python3-venv.
ARG BASE=python:3.12-slim
FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ov_mobilenet ov_mobilenet
COPY model_configs model_configs
# opencv-python needs libGL and a display, which a container does not have; the headless package has the same module.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir ".[serve]" \
    && /opt/venv/bin/pip uninstall --yes opencv-python \
    && /opt/venv/bin/pip install --no-cache-dir "opencv-python-headless>=4.8"

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home --uid 10001 serve
USER 10001
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
# OpenVINO's telemetry is off: it would write to the home folder and use the network at each start. The sample model is
# converted when the image is built, not when the container starts.
RUN opt_in_out --opt_out \
    && python -c "import ov_mobilenet as ovm; ovm.load_classifier('mobilenet-v1-0.25-128-signs', device='CPU')"
EXPOSE 8000 8001
# SIGTERM finishes the running requests: give `docker stop` more time than --drain-timeout, with -t 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["ov-mobilenet", "serve"]
CMD ["mobilenet-v1-0.25-128-signs", "--host", "0.0.0.0", "--token-file", "/run/secrets/token", "--log-format", "json"]
