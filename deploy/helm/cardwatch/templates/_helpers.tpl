{{- define "cardwatch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "cardwatch.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cardwatch.labels" -}}
{{ include "cardwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "cardwatch.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* What every pod of cardwatch's is closed to. The group is that of the secrets' files, which belong to root, mode 0440. */}}
{{- define "cardwatch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "cardwatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Settings that follow from the chart. They are variables, which count more than the file. */}}
{{- define "cardwatch.environment" -}}
- { name: CARDWATCH_LOG__FORMAT, value: json }
# Records of who did what are on the topic; a pod has no file that would outlive it.
- { name: CARDWATCH_AUDIT__FILE, value: "" }
- { name: CARDWATCH_KEYS__DIRECTORY, value: /run/secrets/cardwatch/keys }
{{- if .Values.rules }}
- { name: CARDWATCH_ALERTS__RULES, value: /etc/cardwatch/rules.toml }
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cardwatch.secretMounts" -}}
{{- range .Values.secrets }}
- { name: {{ printf "secret-%s" .name }}, mountPath: {{ printf "/run/secrets/cardwatch/%s" .name }}, readOnly: true }
{{- end }}
{{- end -}}

{{- define "cardwatch.secretVolumes" -}}
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" .name }}
  secret: { secretName: {{ .secretName }}, defaultMode: 0440 }
{{- end }}
{{- end -}}
