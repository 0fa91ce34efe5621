package target

// This file parses the files of the dynamic loader: ld.so.cache, ld.so.preload, and the paths built into the loader.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"arenacap/launcher/environ"
)

// ldCache is /etc/ld.so.cache, which maps library names to files. The zero value has no entries.
type ldCache struct {
	order   binary.ByteOrder
	file    []byte // offsets of strings count from its start
	entries []byte // 24 bytes each
}

// Magic strings and sizes in bytes (glibc: sysdeps/generic/dl-cache.h).
const (
	cacheMagic    = "glibc-ld.so.cache1.1"
	cacheMagicOld = "ld.so-1.7.0"
	cacheHeader   = 48
	cacheEntry    = 24
)

var errBadCache = errors.New("not a cache of glibc's ldconfig")

// parseLDCache parses the format of glibc 2.2 and later. Integers are u32 in the byte order given by the flags (2: little, 3:
// big; 0, before 2.33: native, treated as little):
//
//	"glibc-ld.so.cache" "1.1", number of entries, bytes of strings, flags u8, 3 unused bytes, offset of the
//	extensions, 3 unused u32; then the entries:
//	flags, offset of the name, offset of the path, unused u32, hwcap u64
//
// In a cache of glibc 2.31 or earlier, a table of the older format precedes the one above: "ld.so-1.7.0", a pad byte,
// the number of entries, the entries of 12 bytes, padding to a multiple of 8 bytes. Offsets count from the header of
// the newer format.
func parseLDCache(b []byte) (ldCache, error) {
	if bytes.HasPrefix(b, []byte(cacheMagicOld)) {
		at := bytes.Index(b, []byte(cacheMagic))
		if at < 0 {
			return ldCache{}, errBadCache
		}
		b = b[at:]
	}
	if len(b) < cacheHeader || string(b[:len(cacheMagic)]) != cacheMagic {
		return ldCache{}, errBadCache
	}
	c := ldCache{order: binary.LittleEndian, file: b}
	if b[28]&3 == 3 {
		c.order = binary.BigEndian
	}
	var ok bool
	c.entries, ok = part(b, cacheHeader, uint64(c.order.Uint32(b[20:]))*cacheEntry)
	if !ok {
		return ldCache{}, errBadCache
	}
	return c, nil
}

// lookup returns the paths for a library's name, the best first. The caller checks which one fits the program, because the
// meaning of the cache's flags differs by architecture. Entries with hwcap bits are skipped: they are builds of the same
// library for newer processors.
func (c ldCache) lookup(name string) []string {
	var paths []string
	for e := c.entries; len(e) >= cacheEntry; e = e[cacheEntry:] {
		if c.order.Uint64(e[16:]) == 0 && c.is(c.order.Uint32(e[4:]), name) {
			paths = append(paths, c.text(c.order.Uint32(e[8:])))
		}
	}
	return paths
}

// The tunables extension of the cache (glibc 2.44: sysdeps/generic/dl-cache.h, elf/tunconf.h).
const (
	extensionMagic   = 0xeaa42174
	extensionSection = 16 // bytes
	tunablesTag      = 2
	tunablesMark     = 0x7c3ba94f
	tunablesVersion  = 0x01000000
	tunablesHeader   = 16
	tunablesEntry    = 32

	tunableParsed     = 1 << 0
	tunableLocked     = 1 << 2 // the two-bit field TUNCONF_FLAG_OVERRIDABLE has only this value or 0
	tunableNotSecure  = 1 << 4
	tunableOnlySecure = 1 << 5
	tunableFilter     = 0xff00
	tunableOfProgram  = 0x100
)

// tunables returns the lines of /etc/tunables.conf that apply to the program at a path, as ldconfig compiled them (man 5
// tunables.conf). Integers are u32 unless noted; offsets count from the start of the cache:
//
//	at the offset of the extensions: magic, number of sections; then the sections: tag, flags, offset, bytes
//	section of tag 2: mark, version, number of entries, unused; then the entries:
//	flags, number of the tunable, offsets of the name, of the value and of the filter, unused, value u64
//
// A filter is a path or a base name. ldconfig parses the value as a decimal and sets tunableParsed; the loader ignores a
// value without that flag.
func (c ldCache) tunables(program string, secure bool) (list []environ.SystemTunable) {
	b := c.section(tunablesTag)
	if len(b) < tunablesHeader || c.order.Uint32(b) != tunablesMark || c.order.Uint32(b[4:]) != tunablesVersion {
		return nil
	}
	entries, _ := part(b, tunablesHeader, uint64(c.order.Uint32(b[8:]))*tunablesEntry)
	for e := entries; len(e) >= tunablesEntry; e = e[tunablesEntry:] {
		flags := c.order.Uint32(e)
		if secure && flags&tunableNotSecure != 0 || !secure && flags&tunableOnlySecure != 0 {
			continue
		}
		if filter := flags & tunableFilter; filter != 0 && (filter != tunableOfProgram || !isProgram(program, c.text(c.order.Uint32(e[16:])))) {
			continue
		}
		s := environ.SystemTunable{Name: c.text(c.order.Uint32(e[8:])), Locked: flags&tunableLocked != 0}
		if flags&tunableParsed != 0 {
			s.N = c.order.Uint64(e[24:])
		}
		list = append(list, s)
	}
	return list
}

// isProgram reports whether the filter of a line of /etc/tunables.conf, a path or a base name, matches the program at a
// path.
func isProgram(path, filter string) bool {
	if strings.HasPrefix(filter, "/") {
		return path == filter
	}
	return path[strings.LastIndexByte(path, '/')+1:] == filter
}

// section returns the content of the first section with a tag.
func (c ldCache) section(tag uint32) []byte {
	b, ok := part(c.file, uint64(c.order.Uint32(c.file[32:])), 8)
	if !ok || c.order.Uint32(b) != extensionMagic {
		return nil
	}
	at, count := uint64(c.order.Uint32(c.file[32:]))+8, uint64(c.order.Uint32(b[4:]))
	sections, _ := part(c.file, at, count*extensionSection)
	for s := sections; len(s) >= extensionSection; s = s[extensionSection:] {
		if c.order.Uint32(s) == tag {
			data, _ := part(c.file, uint64(c.order.Uint32(s[8:])), uint64(c.order.Uint32(s[12:])))
			return data
		}
	}
	return nil
}

// is reports whether a string of the cache is the given name, without an allocation.
func (c ldCache) is(offset uint32, name string) bool {
	b, ok := part(c.file, uint64(offset), uint64(len(name))+1)
	return ok && b[len(name)] == 0 && string(b[:len(name)]) == name
}

func (c ldCache) text(offset uint32) string {
	if uint64(offset) >= uint64(len(c.file)) {
		return ""
	}
	return string(cString(c.file[offset:]))
}

// loaderDirs has the paths built into a dynamic loader of glibc.
type loaderDirs struct {
	cache string   // path of ld.so.cache
	dirs  []string // default directories, in order, without the final slash
	lib   string   // value of $LIB
}

// parseLoader finds the path of the cache and the default directories in the file of a dynamic loader. Both depend on
// the prefix of the build, so a glibc built with another prefix does not use the system's paths. The file contains
//
//	/etc/ld.so.cache\0
//	/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0
//
// (glibc: elf/dl-cache.c, LD_SO_CACHE; elf/dl-load.c, system_dirs). ok is false if they are not found.
func parseLoader(b []byte) (l loaderDirs, ok bool) {
	const suffix = "/ld.so.cache\x00"
	at := bytes.Index(b, []byte(suffix))
	if at < 0 {
		return loaderDirs{}, false
	}
	start := bytes.LastIndexByte(b[:at], 0) + 1
	l.cache = string(b[start : at+len(suffix)-1])
	for at := 0; ; at++ {
		next := bytes.Index(b[at:], []byte("/\x00/"))
		if next < 0 {
			return l, false
		}
		at += next
		if l.dirs = folderRun(b[bytes.LastIndexByte(b[:at], 0)+1:]); len(l.dirs) > 1 {
			break
		}
	}
	l.lib = "lib"
	if strings.HasPrefix(l.dirs[0], "/lib") {
		l.lib = l.dirs[0][1:]
	}
	return l, true
}

// folderRun reads consecutive strings that begin and end with a slash.
func folderRun(b []byte) []string {
	var dirs []string
	for {
		end := bytes.IndexByte(b, 0)
		if end < 2 || end > pathMax || b[0] != '/' || b[end-1] != '/' || !printable(b[:end]) {
			return dirs
		}
		dirs = append(dirs, string(b[:end-1]))
		b = b[end+1:]
	}
}

func printable(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r < 0x21 || r == 0x7f || r == 0xfffd }) < 0
}

// parsePreloadFile parses /etc/ld.so.preload: names separated by blanks, newlines and colons; # begins a comment (glibc:
// elf/rtld.c).
func parsePreloadFile(b []byte) []string {
	var names []string
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(": \t\n", r) })...)
	}
	return names
}
