package main

// The help texts: what it does, how it is written, the flags. Templates of urfave/cli.

const appHelp = `arenacap: {{.Usage}}

Usage:
   {{.UsageText}}

{{.Description}}

Commands:{{range .VisibleCommands}}
   {{.Name}}{{"\t"}}{{.Usage}}{{end}}

Flags, before or after the command:{{range .VisibleFlags}}
   {{.}}{{end}}

'arenacap help COMMAND' shows the help of a command.
`

const commandHelp = `arenacap {{.Name}}: {{.Usage}}

Usage:
   {{.UsageText}}{{if .Description}}

{{.Description}}{{end}}{{if .VisibleFlags}}

Flags:{{range .VisibleFlags}}
   {{.}}{{end}}{{end}}
`
