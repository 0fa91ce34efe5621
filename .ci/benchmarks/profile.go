// Profile reads the text of "perf script -F comm,ip,sym" and prints how many microseconds of processor time one launch
// spends where, as a tree of calls: each line is a function with all that it calls, the kernel's part included.
//
//	perf script -F comm,ip,sym | profile -comm NAME -hz SAMPLES -launches N [-depth N] [-least MICROSECONDS]
package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

type node struct {
	samples int
	calls   map[string]*node
}

func main() {
	comm := flag.String("comm", "", "count the samples of this command")
	hz := flag.Float64("hz", 0, "samples a second")
	launches := flag.Float64("launches", 0, "how many launches were recorded")
	depth := flag.Int("depth", 6, "levels of calls")
	least := flag.Float64("least", 10, "microseconds under which nothing is shown")
	flag.Parse()
	root := read(*comm, *depth)
	root.print("", 1e6 / *hz / *launches, *least)
}

// read takes the stacks, a block of lines each: the command, then a line a function, the innermost first.
func read(comm string, depth int) *node {
	root := &node{}
	var stack []string
	counts := false
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			if counts {
				root.add(stack, depth)
			}
			stack = stack[:0]
		case line[0] != '\t' && line[0] != ' ':
			counts = strings.TrimSpace(line) == comm
		default:
			if _, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				stack = append(stack, strings.TrimSuffix(name, ".abi0"))
			}
		}
	}
	return root
}

func (n *node) add(stack []string, depth int) {
	n.samples++
	if len(stack) == 0 || depth == 0 {
		return
	}
	last := len(stack) - 1
	if n.calls == nil {
		n.calls = map[string]*node{}
	}
	if n.calls[stack[last]] == nil {
		n.calls[stack[last]] = &node{}
	}
	n.calls[stack[last]].add(stack[:last], depth-1)
}

func (n *node) print(indent string, each, least float64) {
	names := slices.SortedFunc(maps.Keys(n.calls), func(a, b string) int { return cmp.Compare(n.calls[b].samples, n.calls[a].samples) })
	for _, name := range names {
		if took := float64(n.calls[name].samples) * each; took >= least {
			fmt.Printf("%7.0f %s%s\n", took, indent, name)
			n.calls[name].print(indent+"  ", each, least)
		}
	}
}
