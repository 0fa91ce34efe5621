// This file makes the compiler accept functions without a body, which detach_linux.go links by name.
