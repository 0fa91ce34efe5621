// Package mariadb_test runs the example in a shorter form, with sysbench's mix of reads and writes; a full test run
// (ARENACAP_FULL=1) also runs the read-only mix.
package mariadb_test

import (
	"testing"

	"arenacap/examples/internal/lab"
	"arenacap/launcher/testenv"
)

func TestSweep(t *testing.T) {
	testenv.Need(t, "go", "mariadbd", "mariadb", "mariadb-admin", "mariadb-install-db", "sysbench")
	t.Setenv("LOAD_SECONDS", "1")
	mixes := []string{"oltp_read_write"}
	if testenv.Full() {
		mixes = append(mixes, "oltp_read_only")
	}
	for _, mix := range mixes {
		t.Run(mix, func(t *testing.T) {
			s := lab.RunSweep(t, mix, "--rounds", "1", "--warmup", "0", "--caps", "off,2")
			own, two := s.Of(t, "off"), s.Of(t, "2")
			if two.Arenas != 2 || own.Arenas <= 2 || two.Throughput.Median <= 0 || two.Latency == nil || two.Latency.Median <= 0 {
				t.Errorf("%+v and %+v", own, two)
			}
			if two.Virtual >= own.Virtual {
				t.Errorf("a cap of 2 has %d MiB virtual, glibc's own limit %d", two.Virtual>>20, own.Virtual>>20)
			}
		})
	}
}
