//go:build arenacap_no_early

package main

func init() { early = false }
