package target

import "bytes"

// shebang is the #! line of a script as the kernel splits it.
type shebang struct {
	interpreter string
	argument    string // all of the rest, blanks inside included; "" where there is none
}

// shebangSize is BINPRM_BUF_SIZE: the bytes of a file that the kernel looks at (256 since Linux 5.1).
const shebangSize = 256

// parseShebang reads the first line of a script (Linux: fs/binfmt_script.c, load_script). Format:
//
//	#! [blanks] INTERPRETER [blanks ARGUMENT] [blanks] \n
//
// Blanks are spaces and tabs. A line that does not end within 255 bytes counts where the interpreter does
// end within them; its argument is cut there. ok is false for what the kernel refuses with ENOEXEC.
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
			return shebang{}, false // all blank, or perhaps cut within the interpreter's name
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
