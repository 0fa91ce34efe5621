// Reading one variable of an environment.

package environ

// Lookup is getenv(3): the first entry of that name.
func Lookup(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			return entry[len(name)+1:], true
		}
	}
	return "", false
}
