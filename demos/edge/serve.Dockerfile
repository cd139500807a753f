# From the root of the repository:
#   docker build -f demos/edge/serve.Dockerfile -t ov-mobilenet-serve .
#   (umask 077; openssl rand -hex 32 > token; sudo chown 10001 token)
#   docker run --rm -p 127.0.0.1:8000:8000 -p 127.0.0.1:8001:8001 -v "$PWD/token:/run/secrets/token:ro" ov-mobilenet-serve
#   curl -H "Authorization: Bearer $(sudo cat token)" --data-binary @sign.jpg http://127.0.0.1:8000/v1/classify
# Arguments after the name of the image replace the model and the options: docker run … ov-mobilenet-serve mine.xml …
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ov_mobilenet ov_mobilenet
COPY model_configs model_configs
# opencv-python needs libGL and a display, which a container does not have; the headless package has the same module.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir ".[serve]" \
    && /opt/venv/bin/pip uninstall --yes opencv-python \
    && /opt/venv/bin/pip install --no-cache-dir "opencv-python-headless>=4.8"

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home --uid 10001 serve
USER 10001
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
# Convert the sample model when the image is built, not when the container starts.
RUN ["python", "-c", "import ov_mobilenet as ovm; ovm.load_classifier('mobilenet-v1-0.25-128-signs', device='CPU')"]
EXPOSE 8000 8001
# SIGTERM finishes the running requests: give `docker stop` more time than --drain-timeout, with -t 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["ov-mobilenet", "serve"]
CMD ["mobilenet-v1-0.25-128-signs", "--host", "0.0.0.0", "--token-file", "/run/secrets/token", "--log-format", "json"]
