{{/* What every container of endcap has in common: who it is, where Kafka and Redis are. */}}
{{- define "endcap.environment" -}}
- name: ENDCAP_KAFKA_BOOTSTRAP_SERVERS
  value: {{ required "kafka.bootstrapServers: name the brokers, as broker-1:9092,broker-2:9092" .Values.kafka.bootstrapServers | quote }}
# Secrets are files in there: an environment is shown by `kubectl describe`, crash reports and children.
- name: ENDCAP_SECRETS_DIR
  value: /etc/endcap-secrets
- name: ENDCAP_HTTP_HOST
  value: {{ .Values.listen | quote }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The keys of the secret as files, by the names of the settings. A key of the second part may be missing. */}}
{{- define "endcap.secrets-volume" -}}
name: secrets
projected:
  defaultMode: 0440 # root's, and read by the pod's group
  sources:
    - secret:
        name: {{ required "existingSecret: name a secret that holds redis-url and erasure-secret" .Values.existingSecret }}
        items:
          - { key: redis-url, path: redis_url }
          - { key: erasure-secret, path: erasure_secret }
    - secret:
        name: {{ .Values.existingSecret }}
        optional: true
        items:
          - { key: kafka-password, path: kafka_password }
          - { key: pseudonym-secret, path: pseudonym_secret }
          - { key: shopper-token-secret, path: shopper_token_secret }
          - { key: assistant-phrasing-key, path: assistant_phrasing_key }
{{- end -}}

{{- define "endcap.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "endcap.pod-security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* A whole pod: root, component, own (its values), command, port, health, ready, scores, identity, keeps. */}}
{{- define "endcap.pod" -}}
{{- $root := .root -}}
{{- $own := .own -}}
metadata:
  labels:
    {{- include "endcap.labels" . | nindent 4 }}
    {{- with $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Other settings: other pods. models.json is not among them: it is followed without a restart.
    checksum/settings: {{ include "endcap.toml" $root | sha256sum }}
    {{- with $own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "endcap.fullname" $root }}
  automountServiceAccountToken: false
  # Services named endcap-* would put ENDCAP_* variables into every pod, and endcap refuses those it
  # does not know.
  enableServiceLinks: false
  securityContext:
    {{- include "endcap.pod-security" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "endcap.selector" . | nindent 10 }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and .scores $root.Values.model.image }}
  initContainers:
    - name: model
      image: {{ $root.Values.model.image }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [cp, -r, {{ printf "%s/." $root.Values.model.imagePath }}, /models/bundle]
      securityContext:
        {{- include "endcap.container-security" $root | nindent 8 }}
      resources:
        requests: { cpu: 50m, memory: 32Mi }
        limits: { memory: 128Mi }
      volumeMounts:
        - { name: models, mountPath: /models }
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "endcap.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ toJson .command }}
      env:
        {{- include "endcap.environment" $root | nindent 8 }}
        {{- if .identity }}
        # The fixed name of the pod: after a restart its partitions are still its own.
        - name: ENDCAP_GROUP_INSTANCE_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- end }}
        {{- if .scores }}
        {{- if $root.Values.model.image }}
        - name: ENDCAP_BUNDLE
          value: /models/bundle
        {{- else if $root.Values.model.current }}
        - name: ENDCAP_MODELS_FILE
          value: /etc/endcap-live/models.json
        {{- end }}
        {{- if $root.Values.experiments }}
        - name: ENDCAP_EXPERIMENTS_FILE
          value: /etc/endcap-live/experiments.yaml
        {{- end }}
        {{- end }}
        {{- if .segments }}
        - name: ENDCAP_SEGMENTS_FILE
          value: {{ $own.file | quote }}
        {{- end }}
        {{- if and (eq .component "serve") $root.Values.serve.apiKeys }}
        - name: ENDCAP_API_KEYS_FILE
          value: /etc/endcap-keys/api-keys.toml
        {{- end }}
        {{- with $own.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: {{ .portName }}
          containerPort: {{ .port }}
      startupProbe:
        httpGet: { path: /healthz, port: {{ .portName }} }
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: {{ .portName }} }
        periodSeconds: 15
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: { path: {{ .ready }}, port: {{ .portName }} }
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      securityContext:
        {{- include "endcap.container-security" $root | nindent 8 }}
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: tmp, mountPath: /tmp }
        - { name: settings, mountPath: /etc/endcap, readOnly: true }
        - { name: secrets, mountPath: /etc/endcap-secrets, readOnly: true }
        {{- if .scores }}
        {{- if or $root.Values.model.current $root.Values.experiments }}
        - { name: live, mountPath: /etc/endcap-live, readOnly: true }
        {{- end }}
        {{- end }}
        {{- if include "endcap.has-models" . }}
        - { name: models, mountPath: /models, readOnly: true }
        {{- end }}
        {{- if and (eq .component "serve") $root.Values.serve.apiKeys }}
        - { name: keys, mountPath: /etc/endcap-keys, readOnly: true }
        {{- end }}
  volumes:
    {{- if not .keeps }}
    - name: data
      emptyDir: { sizeLimit: {{ $own.dataSize }} }
    {{- end }}
    - name: tmp
      emptyDir: { sizeLimit: 256Mi }
    - name: settings
      configMap: { name: {{ include "endcap.fullname" $root }} }
    - {{- include "endcap.secrets-volume" $root | nindent 6 }}
    {{- if .scores }}
    {{- if or $root.Values.model.current $root.Values.experiments }}
    - name: live
      configMap: { name: {{ include "endcap.fullname" $root }}-live }
    {{- end }}
    {{- end }}
    {{- if include "endcap.has-models" . }}
    - name: models
      {{- if $root.Values.model.existingClaim }}
      persistentVolumeClaim: { claimName: {{ $root.Values.model.existingClaim }}, readOnly: true }
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- if and (eq .component "serve") $root.Values.serve.apiKeys }}
    - name: keys
      secret:
        secretName: {{ $root.Values.existingSecret }}
        items: [{ key: api-keys.toml, path: api-keys.toml }]
    {{- end }}
{{- end -}}

{{- define "endcap.has-models" -}}
{{- if or (and .scores .root.Values.model.image) (and (or .scores .segments) .root.Values.model.existingClaim) -}}
yes
{{- end -}}
{{- end -}}
