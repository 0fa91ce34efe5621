package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// This file finds the UID of the user of [match].

// UserID returns the UID of a user, which is given by number or by its name in the text of /etc/passwd (passwd(5)).
func UserID(user string, passwd []byte) (uid uint32, err error) {
	if n, err := strconv.ParseUint(user, 10, 32); err == nil {
		return uint32(n), nil
	}
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(line, ":") // name:password:UID:GID:…
		if len(fields) < 4 || fields[0] != user {
			continue
		}
		if n, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			return uint32(n), nil
		}
	}
	return 0, hinted{fmt.Sprintf("user %q is not in /etc/passwd, so no process belongs to the service", user), "create the user, or write the UID"}
}

// unknownUser describes a user that does not exist on this machine.
func unknownUser(user string) (unknown hinted) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		_, err := UserID(user, passwd)
		errors.As(err, &unknown)
	}
	return unknown
}
