{{define "flags"}}
{{- range $flag := .Flags}}{{range .Names}} {{quote (print . (zshSpec $flag))}}{{end}}{{end}}
{{- end -}}

{{define "operand"}}
{{- if eq . "PROGRAM"}} '(-)1:program:_command_names -e' '*:: :_arenacap_target'
{{- else if eq . "PID"}} '*:pid:_pids'
{{- else if eq . "FILE"}} '*:file:_files'
{{- else if eq . "DIR"}} '1:folder:_files -/'
{{- else if eq . "UNIT"}} '*:unit:_arenacap_units'
{{- else if eq . "COMMAND"}} '1:command:{ _describe command subcommands }'
{{- end}}
{{- end -}}

#compdef arenacap
# zsh completion for arenacap
_arenacap_services() {
  local policy=${opt_args[--policy]:-$before} && compadd -- $({{.Services}})
}
_arenacap_target() { # completes PROGRAM and its arguments with their own completions
  [[ $words[1] == -- ]] && shift words && ((CURRENT--))
  _normal
}
_arenacap_units() {
  [[ $PREFIX == */* ]] && _files || compadd -- $({{.Units}})
}
_arenacap() {
  local -a subcommands
  local context state line ret=1
  typeset -A opt_args
  subcommands=(
{{- range slice .Levels 1}}
    {{quote (print .Name ":" .Usage)}}
{{- end}}
  )
  _arguments -C -A '-*'{{template "flags" index .Levels 0}} '1:command:->command' '*::arg:->args' && ret=0
  local before=${opt_args[--policy]} # _arguments overwrites opt_args
  case $state in
  command) _describe command subcommands && ret=0 ;;
  args) case $words[1] in
{{- range slice .Levels 1}}
  {{.Name}}) _arguments -S -A '-*'{{template "flags" .}}{{template "operand" .Operand}} ;;
{{- end}}
  esac && ret=0 ;;
  esac
  return ret
}
_arenacap "$@"
