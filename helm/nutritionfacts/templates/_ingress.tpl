{{/* Port 80 is served without redirects, and bodies may be as large as the program accepts. Connections to pods are kept open, which all
of these controllers do by default. Traefik redirects only by its own configuration, which no Ingress can change. */}}
{{- define "nutritionfacts.plainHttp" -}}
nginx.ingress.kubernetes.io/ssl-redirect: "false"
nginx.ingress.kubernetes.io/force-ssl-redirect: "false"
nginx.ingress.kubernetes.io/proxy-body-size: 32m
nginx.org/redirect-to-https: "false"
nginx.org/ssl-redirect: "false"
nginx.org/client-max-body-size: 32m
haproxy-ingress.github.io/ssl-redirect: "false"
haproxy.org/ssl-redirect: "false"
traefik.ingress.kubernetes.io/router.entrypoints: web,websecure
kubernetes.io/ingress.allow-http: "true"
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
{{- end -}}
