# Sourced by the benchmarks: programs built as .ci/release builds arenacap, and what they are compared with. $work is
# their folder, and the top of the repository the current one.

release() { # FILE PACKAGE…
  local link='-s -w'
  [ "$2" != ./cmd/arenacap ] || link+=' -E arenacap/launcher/origin.entry'
  CGO_ENABLED=0 go build -trimpath -tags urfave_cli_no_docs,urfave_cli_no_suggest -ldflags "$link" -o "$1" "${@:2}"
}

packages() { # PACKAGE…: what it links that is neither Go's nor ours
  go list -deps -f '{{if and (not .Standard) .Module (not .Module.Main)}}{{.ImportPath}}{{end}}' "$@" | sort
}

# libraries makes $linked, the files of a program that links what arenacap links. linked.go calls the libraries that
# matter; whatever else arenacap imports comes in through a second file.
libraries() {
  local imports=.ci/benchmarks/imports.go
  {
    printf 'package main\n\nimport (\n'
    go list -deps -f '{{if and .Module .Module.Main}}{{join .Imports "\n"}}{{end}}' ./cmd/arenacap | sort -u | sed -n '/^[^/]*\./s/.*/\t_ "&"/p'
    printf ')\n'
  } >"$work/imports.go"
  printf '{"Replace": {"%s": "%s"}}\n' "$PWD/$imports" "$work/imports.go" >"$work/overlay.json"
  export GOFLAGS="${GOFLAGS:-} -overlay=$work/overlay.json"
  linked=(.ci/benchmarks/linked.go "$imports")
  diff <(packages ./cmd/arenacap) <(packages "${linked[@]}") ||
    { echo "linked.go does not link what arenacap links (< arenacap, > linked)"; exit 1; }
}
