// This file makes the compiler accept functions without a body, which gc.go links by name.
