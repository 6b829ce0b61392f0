{{/* What every pod has in common. Call with root and component. */}}
{{- define "hocba.pod" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "hocba.name" .root }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $values.user | int64 }}
  runAsGroup: {{ $values.group | int64 }}
  # Secret files belong to root; the group lets the process read them and nobody else.
  fsGroup: {{ $values.group | int64 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end -}}

{{/* The container's image, command and confinement. Call with root, component and resources. */}}
{{- define "hocba.container" -}}
name: {{ .component }}
image: {{ include "hocba.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ .component }}, --config, /etc/hocba/hocba.toml]
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
{{ toYaml .resources | indent 2 }}
{{- end -}}

{{/* Settings the chart itself knows; variables come before the file. */}}
{{- define "hocba.environment" -}}
- name: HOCBA__DATABASE__URL
  value: {{ .root.Values.database.url | quote }}
- name: HOCBA__DATABASE__PASSWORDS_DIR
  value: /etc/hocba/database
{{- if ne .component "migrate" }}
- name: HOCBA__VAULT__KEYS_FILE
  value: /etc/hocba/vault/vault-keys.toml
- name: HOCBA__LISTENER__INSIDE__BIND
  value: "0.0.0.0:9090"
{{- with .root.Values.telemetry.otlpEndpoint }}
- name: HOCBA__TELEMETRY__OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if eq .component "serve" }}
{{- range $listener, $port := dict "machines" 8443 "persons" 8444 "public" 8445 }}
- name: HOCBA__LISTENER__{{ upper $listener }}__BIND
  value: "0.0.0.0:{{ $port }}"
- name: HOCBA__LISTENER__{{ upper $listener }}__CERTIFICATE_FILE
  value: /etc/hocba/tls/{{ $listener }}/tls.crt
- name: HOCBA__LISTENER__{{ upper $listener }}__KEY_FILE
  value: /etc/hocba/tls/{{ $listener }}/tls.key
{{- if ne $listener "public" }}
- name: HOCBA__LISTENER__{{ upper $listener }}__CLIENT_CA_FILE
  value: /etc/hocba/tls/{{ $listener }}/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- $seal := dict "serve" .root.Values.answerSeal "work" .root.Values.seal }}
{{- $table := dict "serve" "ANSWER_SEAL" "work" "SEAL" }}
{{- $folder := dict "serve" "answer-seal" "work" "seal" }}
{{- $component := .component }}
{{- with get $seal $component }}
- name: HOCBA__{{ get $table $component }}__KEY_FILE
  value: /etc/hocba/{{ get $folder $component }}/{{ .keyFile }}
{{- if .certificateFile }}
- name: HOCBA__{{ get $table $component }}__CERTIFICATE_FILE
  value: /etc/hocba/{{ get $folder $component }}/{{ .certificateFile }}
{{- end }}
{{- if .passwordFile }}
- name: HOCBA__{{ get $table $component }}__PASSWORD_FILE
  value: /etc/hocba/{{ get $folder $component }}/{{ .passwordFile }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Files the process sees. Call with root, component, roles (database roles) and configMap. */}}
{{- define "hocba.mounts" -}}
- {name: config, mountPath: /etc/hocba/hocba.toml, subPath: hocba.toml, readOnly: true}
- {name: database, mountPath: /etc/hocba/database, readOnly: true}
{{- if ne .component "migrate" }}
- {name: vault, mountPath: /etc/hocba/vault, readOnly: true}
{{- end }}
{{- if eq .component "serve" }}
{{- range list "machines" "persons" "public" }}
- {name: tls-{{ . }}, mountPath: /etc/hocba/tls/{{ . }}, readOnly: true}
{{- end }}
- {name: answer-seal, mountPath: /etc/hocba/answer-seal, readOnly: true}
{{- end }}
{{- if eq .component "work" }}
- {name: seal, mountPath: /etc/hocba/seal, readOnly: true}
{{- end }}
{{- $component := .component }}
{{- range .root.Values.files }}
{{- if has $component .in }}
- {name: files-{{ .name }}, mountPath: {{ .mountPath }}, readOnly: true}
{{- end }}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "hocba.volumes" -}}
{{- $values := .root.Values -}}
- name: config
  configMap:
    name: {{ .configMap }}
- name: database
  secret:
    secretName: {{ $values.database.passwordsSecret }}
    defaultMode: 0400
    items:
{{- range .roles }}
      - {key: hocba_{{ . }}.password, path: hocba_{{ . }}.password}
{{- end }}
{{- if ne .component "migrate" }}
- name: vault
  secret:
    secretName: {{ $values.vault.keysSecret }}
    defaultMode: 0400
    items:
      - {key: vault-keys.toml, path: vault-keys.toml}
{{- end }}
{{- if eq .component "serve" }}
{{- range list "machines" "persons" "public" }}
- name: tls-{{ . }}
  secret:
    secretName: {{ (get $values.listeners .).tlsSecret }}
    defaultMode: 0400
{{- end }}
- name: answer-seal
  secret:
    secretName: {{ $values.answerSeal.secret }}
    defaultMode: 0400
{{- end }}
{{- if eq .component "work" }}
- name: seal
  secret:
    secretName: {{ $values.seal.secret }}
    defaultMode: 0400
{{- end }}
{{- $component := .component }}
{{- range $values.files }}
{{- if has $component .in }}
- name: files-{{ .name }}
{{- if .secret }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0400
{{- else }}
  configMap:
    name: {{ .configMap }}
{{- end }}
{{- end }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmpSize }}
{{- end -}}

{{/* Probes on the port inside. Liveness asks the process only: a database that is away must not
     make Kubernetes kill what still holds acknowledged work. */}}
{{- define "hocba.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: inside}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: inside}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: inside}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
lifecycle:
  preStop:
    sleep:
      seconds: {{ .root.Values.preStopSleepSeconds | int64 }}
{{- end -}}

{{- define "hocba.spread" -}}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: {{ .root.Values.spread.zones }}
  labelSelector:
    matchLabels:
{{ include "hocba.selector" . | indent 6 }}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: {{ .root.Values.spread.nodes }}
  labelSelector:
    matchLabels:
{{ include "hocba.selector" . | indent 6 }}
{{- end -}}

{{/* Deployment of a long-running process. Call with root, component, settings, roles and ports. */}}
{{- define "hocba.deployment" -}}
{{- $name := printf "%s-%s" (include "hocba.name" .root) .component -}}
{{- $values := .root.Values -}}
{{- if lt (int64 $values.terminationGracePeriodSeconds) (add (int64 $values.preStopSleepSeconds) 45) -}}
{{- fail "terminationGracePeriodSeconds must be at least preStopSleepSeconds + 45: running requests get 30 s to end" -}}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
{{ include "hocba.labels" . | indent 4 }}
spec:
{{- if not (dig "autoscaling" "enabled" false .settings) }}
  replicas: {{ .settings.replicas | int64 }}
{{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
{{ include "hocba.selector" . | indent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
{{ include "hocba.labels" . | indent 8 }}
      annotations:
        checksum/config: {{ $values.config | sha256sum }}
{{- with $values.podAnnotations }}
{{ toYaml . | indent 8 }}
{{- end }}
    spec:
{{ include "hocba.pod" . | indent 6 }}
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds | int64 }}
      topologySpreadConstraints:
{{ include "hocba.spread" . | indent 8 }}
      containers:
        -
{{ include "hocba.container" (dict "root" .root "component" .component "resources" .settings.resources) | indent 10 }}
          env:
{{ include "hocba.environment" . | indent 12 }}
          ports:
{{- range $port, $number := .ports }}
            - {name: {{ $port }}, containerPort: {{ $number }}}
{{- end }}
{{ include "hocba.probes" . | indent 10 }}
          volumeMounts:
{{ include "hocba.mounts" . | indent 12 }}
      volumes:
{{ include "hocba.volumes" (dict "root" .root "component" .component "roles" .roles "configMap" (include "hocba.name" .root) "tmpSize" .settings.tmpSize) | indent 8 }}
{{- end -}}
