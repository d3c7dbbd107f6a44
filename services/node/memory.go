package node

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tidemark.dev/services/journal"
)

// leastMemory is what a process can work with.
const leastMemory = 256 << 20

// garbage is how much of it may be in the heap, in percent of what is in use. A thousand
// groups use 0.9 GiB, most of it for as long as they run: Go's 100 would take as much again.
const garbage = 65

// boundMemory makes this process aim to stay below so many bytes, 0 for the
// default, and gives the journals their share. GOMEMLIMIT, if it is set, bounds
// the Go heap instead; GOGC, if it is set, says how much garbage it may hold.
func boundMemory(bytes int64) *journal.Memory {
	if bytes == 0 {
		bytes = max(leastMemory, machineMemory()/4)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(bytes / 4 * 3) // the stores' tables are not in Go's heap
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	return journal.NewMemory(bytes)
}

// machineMemory is the memory of the machine, or of the control group that the
// process is in, in bytes.
func machineMemory() int64 {
	total := int64(2 << 30)
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		total = int64(info.Totalram) * int64(info.Unit)
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// "max" is no limit.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n > 0 {
			total = min(total, n)
		}
	}
	return total
}
