{{define "offer"}}
{{- if eq . "FILE"}}-F
{{- else if eq . "PROGRAM"}}-f -a '(__arenacap_target)'
{{- else if eq . "PID"}}-f -a '(__fish_complete_pids)'
{{- else if eq . "DIR"}}-f -a '(__fish_complete_directories)'
{{- else if eq . "UNIT"}}-f -a '(__arenacap_units)'
{{- else if eq . "NAME"}}-f -a '(__arenacap_services)'
{{- else}}-f -a '{{.}}'
{{- end}}
{{- end -}}

# fish completion for arenacap
complete -c arenacap -f
function __arenacap_services
    set -lx policy (string match -r -g -- '--policy[= ](\S+)' (commandline -p))
    sh -c {{fishQuote .Services}}
end
function __arenacap_units
    sh -c {{fishQuote .Units}}
end
# Prints the command and, on the next line, the index of its first operand.
function __arenacap_parse
    set -l words (commandline -opc)
    set -l command
    set -l last
    __arenacap_valued ''
    for i in (seq 2 (count $words))
        if test -n "$last"
            set last
        else if test "$words[$i]" = --
            printf '%s\n' "$command" (math $i + 1)
            return
        else if string match -q -- '-*' $words[$i]
            contains -- $words[$i] $__arenacap_flags; and set last $words[$i]
        else if test -n "$command"
            printf '%s\n' "$command" $i
            return
        else
            set command $words[$i]
            __arenacap_valued $command
        end
    end
    printf '%s\n' "$command"
end
function __arenacap_valued
    set -l valued
    switch $argv[1]
{{- range .Levels}}
        case '{{.Name}}'
            set valued {{.Valued}}
{{- end}}
    end
    set -g __arenacap_flags $valued
end
function __arenacap_in
    set -l parsed (__arenacap_parse)
    test "$parsed[1]" = "$argv[1]"
end
function __arenacap_at
    set -l parsed (__arenacap_parse)
    test "$parsed[1]" = "$argv[1]" -a (count $parsed) -eq 1
end
# Completes PROGRAM and its arguments with their own completions.
function __arenacap_target
    set -l parsed (__arenacap_parse)
    set -l words (commandline -opc)
    set -l target
    test (count $parsed) -eq 2; and test $parsed[2] -le (count $words); and set target $words[$parsed[2]..]
    set -a target (commandline -ct)
    string match -q -- '-*' $target[1]; or complete -C (string join ' ' -- (string escape -- $target[..-2]) $target[-1])
end
{{range $level := .Levels}}
{{- range .Flags}}complete -c arenacap -n '__arenacap_at {{printf "%q" $level.Name}}'
{{- range .Names}} {{fishName .}}{{end}}
{{- if .Value}} -r {{template "offer" .Takes}}{{end}} -d {{fishQuote .Usage}}
{{end}}
{{- if .Name}}complete -c arenacap -n '__arenacap_at ""' -a {{.Name}} -d {{fishQuote .Usage}}
complete -c arenacap -n '__arenacap_in {{.Name}}' {{if eq .Operand "COMMAND"}}{{template "offer" $.Commands}}{{else}}{{template "offer" .Operand}}{{end}}
{{end}}
{{- end}}