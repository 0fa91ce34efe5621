// With an assembly file, though empty, a Go file of this package may declare functions without a body: those that
// doze_linux.go takes from the runtime.
