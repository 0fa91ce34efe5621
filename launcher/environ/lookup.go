// This file looks up a variable in an environment.

package environ

// Lookup returns the first entry of a name, as getenv(3) does.
func Lookup(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			return entry[len(name)+1:], true
		}
	}
	return "", false
}
