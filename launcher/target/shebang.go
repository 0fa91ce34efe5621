package target

// This file parses the #! line of a script.

import "bytes"

// shebang is the #! line of a script as the kernel splits it.
type shebang struct {
	interpreter string
	argument    string // the rest of the line, inner blanks included; "" if none
}

// shebangSize is BINPRM_BUF_SIZE, the bytes of a file that the kernel reads (256 since Linux 5.1).
const shebangSize = 256

// parseShebang reads the first line of a script (Linux: fs/binfmt_script.c, load_script). Format:
//
//	#! [blanks] INTERPRETER [blanks ARGUMENT] [blanks] \n
//
// Blanks are spaces and tabs. A line longer than 255 bytes is valid if the interpreter ends within 255 bytes; the argument
// is cut there. ok is false if the kernel rejects the line with ENOEXEC.
func parseShebang(head []byte) (line shebang, ok bool) {
	if len(head) < 2 || head[0] != '#' || head[1] != '!' {
		return shebang{}, false
	}
	var buf [shebangSize]byte // a short file is padded with NULs
	copy(buf[:], head)
	rest := buf[2:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	} else {
		rest = rest[:len(rest)-1]
		if name := bytes.TrimLeft(rest, " \t"); !bytes.ContainsAny(name, " \t\x00") {
			return shebang{}, false // only blanks, or the interpreter's name may be cut
		}
	}
	rest = bytes.Trim(rest, " \t")
	name, arg := rest, []byte(nil)
	if i := bytes.IndexAny(rest, " \t\x00"); i >= 0 {
		name = rest[:i]
		if rest[i] != 0 {
			arg = cString(bytes.TrimLeft(rest[i:], " \t"))
		}
	}
	if len(rest) == 0 {
		return shebang{}, false
	}
	if len(name) == 0 { // the kernel opens an empty name as the current directory: EACCES
		name = []byte(".")
	}
	return shebang{string(name), string(arg)}, true
}
