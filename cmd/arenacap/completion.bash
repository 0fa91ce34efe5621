# bash completion for arenacap
_arenacap_level() {
  case $1 in
{{- range .Levels}}
  {{printf "%q" .Name}}) flags={{printf "%q" .Words}} valued={{printf "%q" .Valued}} operand={{printf "%q" .Operand}} ;;
{{- end}}
  esac
}
_arenacap_value() {
  case $1 in
{{- range .Values}}
  {{index .Names 0}}) echo {{printf "%q" .Takes}} ;;
{{- end}}
  esac
}
_arenacap_offer() { # completes the word with values of the kind $1, or with the words in $1
  case $1 in
  PROGRAM) [[ $cur == */* ]] && _arenacap_files -f || mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u) ;;
  FILE) _arenacap_files -f ;;
  DIR) _arenacap_files -d ;;
  PID) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$cur") ;;
  COMMAND) mapfile -t COMPREPLY < <(compgen -W {{printf "%q" .Commands}} -- "$cur") ;;
  NAME) mapfile -t COMPREPLY < <(compgen -W "$({{.Services}})" -- "$cur") ;;
  UNIT) [[ $cur == */* ]] && _arenacap_files -f || mapfile -t COMPREPLY < <(compgen -W "$({{.Units}})" -- "$cur") ;;
  *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur") ;;
  esac
}
_arenacap_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}
_arenacap() {
  local cur=${COMP_WORDS[COMP_CWORD]} command= flags= valued= operand= policy= last= dashed= word i
  COMPREPLY=()
  _arenacap_level ""
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $last ]]; then # $word is its value; "=" is a separate word
      [[ $word == = ]] && continue
      [[ $last == --policy ]] && policy=$word
      last=
    elif [[ $word == -- ]]; then
      dashed=yes; ((i++)); break
    elif [[ $word == -* ]]; then
      [[ " $valued " == *" $word "* ]] && last=$word
    elif [[ $command ]]; then
      break
    else
      command=$word; _arenacap_level "$command"
    fi
  done
  [[ $cur == = ]] && cur=
  if [[ $last ]]; then
    _arenacap_offer "$(_arenacap_value "$last")"
  elif [[ $operand == PROGRAM ]] && ((i < COMP_CWORD)); then # the target's arguments
    if declare -F _comp_command_offset >/dev/null; then _comp_command_offset "$i"
    elif declare -F _command_offset >/dev/null; then _command_offset "$i"
    else _arenacap_files -f; fi
  elif [[ $cur == -* && ! $dashed ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
  elif [[ $operand ]]; then
    _arenacap_offer "$operand"
  fi
}
complete -F _arenacap arenacap
