# Prometheus with the alerts of the tree, which Tilt replaces while it runs; without any it starts as well.
FROM docker.io/prom/prometheus:v3.5.0
COPY --chown=65534:65534 . /etc/prometheus/rules/
