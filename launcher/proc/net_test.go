package proc

import (
	"reflect"
	"strings"
	"testing"
)

func TestListening(t *testing.T) {
	const tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23817 1 0 100 0 0 10 0\n" +
		"   1: 0100007F:0CEA 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 23818 1 0 100 0 0 10 0\n"
	const unix = "Num       RefCount Protocol Flags    Type St Inode Path\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 999 /run/x.sock\n" +
		"0000000000000000: 00000003 00000000 00000000 0001 03 998\n"
	if got := Listening([]byte(tcp), []byte(unix)); !reflect.DeepEqual(got, map[string]bool{"socket:[23817]": true, "socket:[999]": true}) {
		t.Error(got)
	}
}

func FuzzListening(f *testing.F) {
	f.Add([]byte("0: 0100007F:0CEA 00000000:0000 0A 0:0 0:0 0 0 0 23817"), []byte("0: 2 0 00010000 1 01 999 /x"))
	f.Fuzz(func(t *testing.T, tcp, unix []byte) {
		for socket := range Listening(tcp, unix) {
			if !strings.HasPrefix(socket, "socket:[") || !strings.HasSuffix(socket, "]") {
				t.Errorf("%q", socket)
			}
		}
	})
}
