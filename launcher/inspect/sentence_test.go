package inspect

import (
	"strings"
	"testing"

	"arenacap/launcher/arena"
	"arenacap/launcher/environ/glibc"
	"arenacap/policy/text"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// example has the figures of the 128-thread server in examples.
func example() *arena.Process {
	p := &arena.Process{
		Name: "authserver", Threads: 129, Virtual: 2090 * mib, Resident: 3 * mib, Libc: "glibc", Allocator: "glibc",
		Arenas: []arena.Arena{{Main: true}},
		Parts: []arena.Part{
			{Kind: arena.KindThreadStacks, Count: 128, Virtual: gib},
			{Kind: arena.KindArenas, Count: 15, Virtual: 960 * mib},
			{Kind: arena.KindFile, Name: "/usr/lib/libc.so.6", Count: 5, Virtual: 106 * mib},
		},
	}
	for range 15 {
		p.Arenas = append(p.Arenas, arena.Arena{Heaps: make([]arena.Heap, 1), Reserved: 64 * mib})
	}
	return p
}

func TestVerdict(t *testing.T) {
	cases := []struct {
		name   string
		change func(*arena.Process)
		want   string
	}{
		{"the large parts only", func(*arena.Process) {}, "2 GiB of virtual size: 1 GiB are 128 thread stacks, 960 MiB are 15 arenas beside the main one; 3 MiB are resident"},
		{"at most three", func(p *arena.Process) {
			p.Parts = []arena.Part{{Kind: "java heap", Virtual: 600 * mib}, {Kind: "reserved", Virtual: 500 * mib},
				{Kind: "other anonymous", Virtual: 490 * mib}, {Kind: "main heap", Virtual: 480 * mib}}
		}, "600 MiB are java heap, 500 MiB are reserved without access (PROT_NONE), 490 MiB are other anonymous memory; 3 MiB"},
		{"one at least", func(p *arena.Process) {
			p.Parts = []arena.Part{{Kind: "stack", Virtual: mib}, {Kind: "kernel", Virtual: mib}}
		}, "virtual size: 1 MiB are stack; 3 MiB"},
		{"terabytes that are reserved do not hide the rest", func(p *arena.Process) {
			p.Virtual += 8 * 1024 * gib
			p.Parts = append([]arena.Part{{Kind: "reserved", Virtual: 8 * 1024 * gib}}, p.Parts...)
		}, "8 TiB of virtual size: 8 TiB are reserved without access (PROT_NONE), 1 GiB are 128 thread stacks, 960 MiB are 15 arenas"},
		{"one of a kind", func(p *arena.Process) {
			p.Parts = []arena.Part{{Kind: "arenas", Count: 1, Virtual: gib}, {Kind: "thread stacks", Count: 1, Virtual: gib}}
		}, "1 GiB are 1 arena beside the main one, 1 GiB are 1 thread stack;"},
		{"a file", func(p *arena.Process) {
			p.Parts = []arena.Part{{Kind: "file", Name: "/var/lib/data.mdb", Virtual: gib}}
		}, "1 GiB are mapped from /var/lib/data.mdb;"},
		{"a hostile file", func(p *arena.Process) {
			p.Parts = []arena.Part{{Kind: "file", Name: "/tmp/\x1b[31mred\n", Virtual: gib}}
		}, `1 GiB are mapped from "/tmp/\x1b[31mred\n";`},
		{"huge pages that are not in use", hugeArenas(38, 44, 2), "3 MiB are resident; 38 MiB of the 44 MiB resident in arenas are huge pages, and at most 2 MiB of the arenas are in use"},
		{"named memory", func(p *arena.Process) {
			p.Parts = []arena.Part{{Kind: "named memory", Name: "dalvik", Virtual: gib}, {Kind: "shared memory", Virtual: gib}}
		}, "1 GiB are named memory dalvik, 1 GiB are shared memory;"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := example()
			c.change(p)
			if got := verdict(p); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// hugeArenas returns a function that sets three sizes of an arena, in MiB: its huge pages, its resident memory, and the
// upper bound of its memory in use.
func hugeArenas(huge, resident, used uint64) func(*arena.Process) {
	return func(p *arena.Process) {
		a := &p.Arenas[1]
		a.Huge, a.Resident, a.SystemMem, a.Top = huge*mib, resident*mib, resident*mib, (resident-used)*mib
	}
}

func TestHugePagesMatter(t *testing.T) {
	for _, c := range []struct {
		name                 string
		huge, resident, used uint64
		want                 bool
	}{
		{"none", 0, 44, 2, false},
		{"most of it, for little", 38, 44, 2, true},
		{"most of it, in use", 38, 44, 40, false},
		{"a small part of it", 2, 44, 1, false},
		{"one page", 2, 2, 0, true},
	} {
		p := example()
		hugeArenas(c.huge, c.resident, c.used)(p)
		if got := hugeMatters(p); got != c.want || got != strings.Contains(verdict(p), "huge pages") {
			t.Errorf("%s: %t, %s", c.name, got, verdict(p))
		}
	}
}

func TestHugeAdvice(t *testing.T) {
	asks := func(value string) []string { return []string{"GLIBC_TUNABLES=glibc.malloc.hugetlb=" + value} }
	newest := glibc.Newest(false)
	for _, c := range []struct {
		env        []string
		mode, want string
	}{
		{asks("1"), "madvise", `write huge_pages = "off" in [arenas] of the program's policy and start the program with 'arenacap run': GLIBC_TUNABLES has glibc.malloc.hugetlb=1`},
		{asks("2"), "always", `write huge_pages = "off"`},
		{asks("1"), "always", "the kernel gives every program huge pages: to prevent that, write madvise to /sys/"},
		{asks("0"), "madvise", ""},
		{asks("0"), "always", "the kernel gives every program huge pages"},
	} {
		if got := hugeAdvice(c.env, newest, c.mode); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%q, %s: %q, want %q", c.env, c.mode, got, c.want)
		}
	}
}

func TestNext(t *testing.T) {
	cases := []struct {
		name   string
		change func(*arena.Process)
		cap    Cap
		want   string
	}{
		{"no cap", func(*arena.Process) {}, Cap{}, "put 'arenacap run --' in front of the start command: with 2 arenas, one per core here, the process would reserve 896 MiB less"},
		{"a cap that is kept", func(*arena.Process) {}, Cap{N: 16, Kept: Yes}, ""},
		{"a cap that is not kept", func(*arena.Process) {}, Cap{N: 2, Kept: No, advice: "do this"}, "do this"},
		{"arenas are a small part", func(p *arena.Process) { p.Virtual = 100 * gib }, Cap{}, ""},
		{"arenas are a large part without reservations", func(p *arena.Process) {
			p.Virtual += 8 * 1024 * gib
			p.Parts = append(p.Parts, arena.Part{Kind: "reserved", Virtual: 8 * 1024 * gib})
		}, Cap{}, "put 'arenacap run --'"},
		{"no more arenas than cores", func(p *arena.Process) { p.Arenas = p.Arenas[:2] }, Cap{}, ""},
		{"the environment cannot set one", func(p *arena.Process) {}, base(glibc241, 16).with(systemLocked).judge(), "set glibc.malloc.arena_max in /etc/tunables.conf"},
		{"no cap in secure mode", func(p *arena.Process) {}, base(glibc236, 16).with(secure).judge(), "if the program has file capabilities, give it ambient"},
		{"another malloc", func(p *arena.Process) { p.Allocator = "jemalloc" }, Cap{}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := example()
			c.change(p)
			if got := next(p, c.cap, 2); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestSaving(t *testing.T) {
	cases := []struct {
		name   string
		arenas []int // number of arenas of each libc
		cap    int
		want   uint64
	}{
		{"15 beside main, 2 allowed", []int{16}, 2, 14 * 64 * mib},
		{"main alone allowed", []int{16}, 1, 15 * 64 * mib},
		{"as many as allowed", []int{16}, 16, 0},
		{"more allowed", []int{4}, 16, 0},
		{"main only", []int{1}, 2, 0},
		{"none", []int{0}, 2, 0},
		{"two libcs with 16 each, 2 allowed", []int{16, 16}, 2, 28 * 64 * mib},
		{"a second libc within the cap", []int{16, 1}, 2, 14 * 64 * mib},
		{"no libc over the cap, but both together", []int{2, 2}, 2, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := &arena.Process{}
			for i, n := range c.arenas {
				for j := range n {
					a := arena.Arena{Libc: i, Main: j == 0}
					if j > 0 {
						a.Reserved = 64 * mib
					}
					p.Arenas = append(p.Arenas, a)
				}
			}
			if got := saving(p, c.cap); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for name, want := range map[string]string{
		"nginx": "nginx", "Web Content": "Web Content", "(sd-pam)": "(sd-pam)", "grün": "grün", "": "",
		"a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, "\xff\xfe": `"\xff\xfe"`, "a\"b": `"a\"b"`, "\u202eabc": `"\u202eabc"`,
	} {
		if got := text.Quoted(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
