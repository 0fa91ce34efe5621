package main

import "time"

// With this file linked sleeps instead: what a process with arenacap's libraries holds that does nothing.
func init() {
	for {
		time.Sleep(time.Hour)
	}
}
