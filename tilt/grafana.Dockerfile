# Grafana with the dashboards of the tree, which Tilt replaces while it runs; without any it starts as well.
FROM docker.io/grafana/grafana:12.1.0
COPY --chown=472:472 . /dashboards/
