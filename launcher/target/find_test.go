package target

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// outcome is the output and the status of a command.
func outcome(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q, status %d", out, cmd.ProcessState.ExitCode())
}

func say(what string) string { return "#!/bin/sh\necho " + what + "\n" }

// TestFindLikeEnv compares Find with env(1), which calls execvp(3).
func TestFindLikeEnv(t *testing.T) {
	dir := publicDir(t)
	must(t, os.Chmod(dir, 0o755))
	deep := say("deep")
	for i := 6; i >= 1; i-- {
		tree(t, dir, [][3]string{{fmt.Sprintf("nest/%d", i), "755", deep}})
		deep = fmt.Sprintf("#!%s/nest/%d\n", dir, i)
	}
	elf, err := os.ReadFile("/bin/true")
	must(t, err)
	noLoader := strings.Replace(string(elf), "/lib64/ld-linux", "/lib64/no-such", 1)
	tree(t, dir, [][3]string{
		{"a/both", "755", say("a")}, {"b/both", "755", say("b")}, {"here", "755", say("here")},
		{"a/noexec", "644", say("a")}, {"b/noexec", "755", say("b")}, {"a/onlynoexec", "644", say("a")},
		{"a/dir", "755", "/"}, {"b/dir", "755", say("b")}, {"a/onlydir", "755", "/"},
		{"a/fifo", "755", "fifo"}, {"a/loop", "755", "-> loop"}, {"b/loop", "755", say("b")},
		{"a/dangling", "755", "-> nowhere"}, {"b/dangling", "755", say("b")}, {"a/link", "755", "-> both"},
		{"a/lost", "755", "#!/no/such/interpreter\n"}, {"b/lost", "755", say("b")}, {"a/onlylost", "755", "#!/no/such\n"},
		{"a/belowfile", "755", "#!" + dir + "/file/x\n"}, {"b/lostlast", "755", "#!" + dir + "/file/x\n"}, {"a/lostlast", "755", "#!/no/such\n"},
		{"a/badinterp", "755", "#!" + dir + "/a/noexec\n"}, {"b/badinterp", "755", say("b")},
		{"a/dirinterp", "755", "#!/tmp\n"}, {"a/crlf", "755", "#!/bin/sh\r\necho crlf\r\n"},
		{"a/bare", "755", "echo bare\n"}, {"a/empty", "755", ""}, {"a/blank", "755", "#! \t\n"}, {"a/just", "755", "#!"},
		{"a/arg", "755", "#!/bin/echo  one two  \nx"}, {"a/noeol", "755", "#!/bin/echo"}, {"a/nul", "755", "#!/bin/echo\x00 x\n"},
		{"a/long", "755", "#!/bin/echo " + strings.Repeat("x", 300) + "\n"},
		{"a/cut", "755", "#!/" + strings.Repeat("x", 300) + "\n"},
		{"a/edge", "755", "#!" + strings.Repeat("/", 244) + "bin/echo\n"},
		{"a/edge2", "755", "#!" + strings.Repeat("/", 245) + "bin/echo\n"},
		{"a/edge3", "755", "#!" + strings.Repeat("/", 246) + "bin/echo\n"},
		{"a/noloader", "755", noLoader}, {"b/noloader", "755", say("b")}, {"a/elf", "755", string(elf)}, {"a/cutelf", "755", string(elf[:40])},
		{"a/secret", "711", string(elf)}, {"a/owner", "700", say("owner")}, {"b/owner", "755", say("b")},
		{"locked/prog", "755", say("locked")}, {"b/prog", "755", say("b")}, {"file", "644", "x"},
	})
	must(t, os.Chmod(filepath.Join(dir, "locked"), 0o700))
	long := strings.Repeat("n", 256)
	ab := dir + "/a:" + dir + "/b"
	const unset = "\x00"
	for _, c := range []struct{ situation, name, path string }{
		{"first of two", "both", ab}, {"not anywhere", "nowhere", ab}, {"not executable, then found", "noexec", ab},
		{"only not executable", "onlynoexec", ab}, {"folder, then found", "dir", ab}, {"only a folder", "onlydir", ab},
		{"a fifo", "fifo", ab}, {"a symlink loop stops the search", "loop", ab}, {"dangling link goes on", "dangling", ab},
		{"link", "link", ab}, {"missing interpreter goes on", "lost", ab}, {"missing interpreter", "onlylost", ab},
		{"interpreter below a file", "belowfile", dir + "/a"}, {"interpreter below a file, then nothing", "belowfile", ab},
		{"missing interpreter, then one below a file", "lostlast", ab},
		{"interpreter not executable goes on", "badinterp", ab}, {"a folder as interpreter", "dirinterp", ab},
		{"carriage return", "crlf", ab}, {"no #!", "bare", ab}, {"empty file", "empty", ab}, {"#! and blanks", "blank", ab}, {"#! alone", "just", ab},
		{"argument", "arg", ab}, {"no newline", "noeol", ab}, {"NUL", "nul", ab}, {"long argument", "long", ab}, {"long interpreter", "cut", ab},
		{"254 bytes", "edge", ab}, {"255 bytes", "edge2", ab}, {"256 bytes", "edge3", ab},
		{"missing loader goes on", "noloader", ab}, {"program", "elf", ab}, {"cut program", "cutelf", ab},
		{"not readable", "secret", ab}, {"owner only", "owner", ab}, {"folder that may not be entered", "prog", dir + "/locked:" + dir + "/b"},
		{"only a folder that may not be entered", "prog", dir + "/locked"},
		{"five scripts deep", "2", dir + "/nest"}, {"six scripts deep", "1", dir + "/nest"},
		{"empty name", "", ab}, {"long name", long, ab}, {"long name with slash", "./" + long, ab}, {"long path", strings.Repeat("/", 4096), ab},
		{"almost too long a path", strings.Repeat("/", 4088) + "no/such", ab},
		{"slash", "a/both", ab}, {"slash, missing", "a/nowhere", ab}, {"slash, folder", "a/dir", ab}, {"slash at the end", "a/both/", ab},
		{"slash, not executable", "a/noexec", ab}, {"slash, loop", "a/loop", ab}, {"slash through a file", "file/x", ab}, {"slash, missing interpreter", "a/lost", ab},
		{"dot", ".", ab}, {"dot dot", "..", ab}, {"root", "/", ab},
		{"PATH unset", "true", unset}, {"PATH unset, missing", "both", unset}, {"PATH empty", "here", ""}, {"PATH empty, missing", "both", ""},
		{"empty entry first", "here", ":" + ab}, {"empty entry last", "here", ab + ":"}, {"empty entry within", "here", dir + "/a::" + dir + "/b"},
		{"relative entry", "both", "b"}, {"dot entry", "here", "."}, {"entry with slash", "both", dir + "/b/"},
		{"a file as entry", "both", dir + "/file:" + dir + "/b"}, {"a file as the last entry", "nowhere", dir + "/b:" + dir + "/file"},
		{"a file, then nothing", "nowhere", dir + "/file:" + dir + "/b"}, {"denied, then a file", "onlynoexec", ab + ":" + dir + "/file"},
		{"missing folder", "both", "/no/such:" + dir + "/b"}, {"long entry", "both", "/" + strings.Repeat("x", 300) + ":" + dir + "/b"},
		{"entry over PATH_MAX in all", "both", "/" + strings.Repeat("x/", 1999) + ":" + dir + "/b"},
		{"equals sign", "a=b", ab},
	} {
		for _, uid := range users() {
			t.Run(fmt.Sprintf("%s/uid=%d", strings.ReplaceAll(c.situation, "/", ""), uid), func(t *testing.T) {
				env := []string{"PATH=" + c.path}
				if c.path == unset {
					env = []string{}
				}
				want := asUser(uid, exec.Command("/usr/bin/env", "--", c.name))
				if strings.Contains(c.name, "=") {
					want = asUser(uid, exec.Command("/usr/bin/nohup", c.name)) // env would take this name as an assignment; nohup calls execvp too
				}
				got := asUser(uid, self("find-and-exec", c.name))
				want.Env, got.Env, want.Dir, got.Dir = env, env, dir, dir
				if w, g := outcome(t, want), outcome(t, got); g != w {
					_, err := Find(c.name, env)
					t.Errorf("Find gives %s, env %s (error here: %v)", g, w, err)
				}
			})
		}
	}
}

func TestFindErrors(t *testing.T) {
	dir := publicDir(t)
	tree(t, dir, [][3]string{
		{"plain", "644", "x"}, {"dir", "755", "/"}, {"lost", "755", "#!/no/such\n"}, {"crlf", "755", "#!/bin/sh\r\n"},
		{"below", "755", "#!" + dir + "/plain/x\n"},
	})
	for _, c := range []struct {
		name, want string
		is         error
	}{
		{"", "the program's name is empty: no such file or directory", syscall.ENOENT},
		{"nowhere", `"nowhere" was not found in PATH (` + shortList(dir) + `): no such file or directory`, syscall.ENOENT},
		{"plain", `"` + dir + `/plain" cannot be executed: permission denied; look at its permissions (ls -l), or set them (chmod +x)`, syscall.EACCES},
		{"dir", `"` + dir + `/dir" is a directory, not a program`, syscall.EACCES},
		{"lost", `"` + dir + `/lost" needs the interpreter "/no/such", which does not exist: no such file or directory`, syscall.ENOENT},
		{dir + "/lost", `"` + dir + `/lost" needs the interpreter "/no/such", which does not exist: no such file or directory`, syscall.ENOENT},
		{"below", `"` + dir + `/below" needs the interpreter "` + dir + `/plain/x", which cannot be executed: not a directory`, syscall.ENOTDIR},
		{dir + "/crlf", `"` + dir + `/crlf" needs the interpreter "/bin/sh\r", which does not exist: no such file or directory; the #! line ends in a carriage return, remove it (dos2unix)`, syscall.ENOENT},
	} {
		_, err := Find(c.name, []string{"PATH=" + dir})
		if err == nil || err.Error() != c.want || !errors.Is(err, c.is) {
			t.Errorf("Find(%q) = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestFindTakesTheFirstOfTwoPaths(t *testing.T) {
	dir := publicDir(t)
	tree(t, dir, [][3]string{{"a/x", "755", say("a")}, {"b/x", "755", say("b")}})
	got, err := Find("x", []string{"PATHOLOGICAL=1", "PATH", "PATH=" + dir + "/a", "PATH=" + dir + "/b"})
	if want := dir + "/a/x"; got != want || err != nil {
		t.Errorf("Find = %q, %v, want %q, as getenv(3) takes the first entry", got, err, want)
	}
}
