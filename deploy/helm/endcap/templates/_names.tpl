{{- define "endcap.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "endcap.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "endcap.labels" -}}
{{ include "endcap.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: endcap
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "endcap.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* The consumer group of a kind of process, as settings.group() names it. */}}
{{- define "endcap.group" -}}
{{- $generation := int .root.Values.settings.generation -}}
{{ .root.Values.settings.topic_prefix }}-{{ .role }}{{ if gt $generation 1 }}.g{{ $generation }}{{ end }}
{{- end -}}

{{/* endcap.toml: whole numbers stay whole. */}}
{{- define "endcap.toml" -}}
{{- range $name, $value := .Values.settings }}
{{- if kindIs "map" $value }}
{{- else if kindIs "float64" $value }}
{{ $name }} = {{ if eq (floor $value) $value }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}
{{- else }}
{{ $name }} = {{ $value | toJson }}
{{- end }}
{{- end }}
partitions = {{ int .Values.topics.partitions }}
replication = {{ int .Values.topics.replication }}
{{- /* Tables come last, or the lines behind them would belong to them. */}}
{{- range $name, $value := .Values.settings }}
{{- if kindIs "map" $value }}
{{ toToml (dict $name $value) }}
{{- end }}
{{- end }}
{{- end -}}
