// Package gopsutil asks the library of that name about the machine, for machine.Find.
package gopsutil

import (
	"context"
	"path/filepath"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
)

// Root is the folder above /proc and /sys: "/" for this machine.
type Root string

// CPUs is the number of logical CPUs.
func (r Root) CPUs() (int, error) { return cpu.CountsWithContext(r.pinned(), true) }

// Memory is the memory of the host in bytes.
func (r Root) Memory() (uint64, error) {
	v, err := mem.VirtualMemoryWithContext(r.pinned())
	if err != nil {
		return 0, err
	}
	return v.Total, nil
}

// pinned is a context in which the library reads /proc and /sys below r, even if HOST_PROC names another folder.
func (r Root) pinned() context.Context {
	return context.WithValue(context.Background(), common.EnvKey, common.EnvMap{
		common.HostProcEnvKey: filepath.Join(string(r), "proc"),
		common.HostSysEnvKey:  filepath.Join(string(r), "sys"),
	})
}
