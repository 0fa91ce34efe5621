package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"arenacap/launcher/watch/view"
)

var tableRows = []view.Row{
	{Name: "authserver", Processes: 1, Metric: "virtual", Value: 3 << 30, Known: true, Limit: 4 << 30, State: view.OK},
	{Name: "hadoop-hdfs-datanode", Processes: 1, Metric: "virtual", Value: 13 << 30, Known: true, Limit: 14 << 30, State: view.Warning},
	{Name: "hadoop-hdfs-datanode", Processes: 1, Metric: "growth", Limit: 2 << 30, State: view.Settling},
	{Name: "php-fpm", Processes: 128, Metric: "resident", Value: 1100 << 20, Known: true, Limit: 1 << 30, State: view.Breach},
	{Name: "mariadb", Metric: "arenas", Limit: 1 << 30},
}

func TestWatchTable(t *testing.T) {
	for _, test := range []struct {
		width, height int
		want          string
	}{
		{79, 18, `
SERVICE               PROCESSES    METRIC    VALUE   LIMIT  USED  STATE
authserver                    1   virtual    3 GiB   4 GiB   75%  ok
hadoop-hdfs-datanode          1   virtual   13 GiB  14 GiB   92%  warning
hadoop-hdfs-datanode          1    growth        -   2 GiB     -  settling
php-fpm                     128  resident  1.1 GiB   1 GiB  107%  breach
mariadb                       0    arenas        -   1 GiB     -  not running
14:03:05; Ctrl-C ends the watch`},
		{50, 18, `
SERVICE         METRIC    VALUE  USED  STATE
authserver     virtual    3 GiB   75%  ok
…fs-datanode   virtual   13 GiB   92%  warning
…fs-datanode    growth        -     -  settling
php-fpm       resident  1.1 GiB  107%  breach
mariadb         arenas        -     -  not running
14:03:05; Ctrl-C ends the watch`},
		{19, 5, `
SERVICE     STATE
php-fpm     breach
…-datanode  warning
authserver  ok
and 2 more; 14:03:0`},
		{12, 2, `
…fpm  breach`},
		{1, 1, `
…`},
	} {
		t.Run(fmt.Sprintf("%dx%d", test.width, test.height), func(t *testing.T) {
			lines := watchTable("SERVICE", tableRows, time.Date(2026, 1, 2, 14, 3, 5, 0, time.UTC), test.width, test.height)
			text := strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(strings.Join(lines, "\n"))
			if text != test.want[1:] {
				t.Errorf("the table is\n%s\nwant%s", text, test.want)
			}
			for line := range strings.Lines(text) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > test.width {
					t.Errorf("%q is too long", line)
				}
			}
		})
	}
	if line := watchTable("SERVICE", tableRows[3:4], time.Time{}, 79, 18)[1]; !strings.HasPrefix(line, "\x1b[31mphp-fpm") || !strings.HasSuffix(line, "breach\x1b[0m") {
		t.Errorf("a breach is shown as %q, want it in red", line)
	}
}
