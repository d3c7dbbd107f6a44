package capture

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/durable"
)

// listen is where the disks of a job are served.
func (s *Service) listen(j spec.ReplicationJob) Listen {
	switch addr := j.Source.Listen; {
	case addr == "":
		return Listen{Network: "unix", Address: spec.SocketPath(s.cfg.StateDir, j.Name+".sock")}
	case filepath.IsAbs(addr):
		return Listen{Network: "unix", Address: addr}
	default:
		return Listen{Network: "tcp", Address: addr}
	}
}

// uris are the addresses of a job's disks, by disk.
func (s *Service) uris(j spec.ReplicationJob) []string {
	out := []string{}
	if j.Source.Capture == cdp.CBT {
		return out
	}
	for _, d := range j.Source.Disks {
		out = append(out, s.deps.Servers.URI(s.listen(j), d.Name))
	}
	return out
}

// tapAddress is where a job's tap is listened for; "": a socket of the job's own.
func (s *Service) tapAddress(ctx context.Context, j spec.ReplicationJob) (string, error) {
	if j.Source.VM == "" || j.Source.Capture != cdp.Tap || j.Source.Listen != "" {
		return j.Source.Listen, nil
	}
	base, err := s.deps.TapBase.Address(ctx)
	if err != nil || base == "" {
		return "", err
	}
	host, first, err := net.SplitHostPort(base)
	if err != nil {
		return "", &cdp.Error{Op: "find tap's address", Kind: cdp.Invalid, Subject: base, Cause: err}
	}
	from, _ := strconv.Atoi(first) // the spec's check has seen it
	port, err := s.ports.take(j.Name, from)
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

// tapPorts gives each tapped VM a port that stays the same, for its I/O filter is
// configured with it. It is kept in a small file in the state directory.
type tapPorts struct {
	path string

	mu    sync.Mutex
	ports map[string]int // by job
	above int            // ports up to this one may be those of taps that are not known any more
}

// openTapPorts reads the file. One that is damaged is set aside and named: the taps
// get new ports then, and none gets one that the filter of another VM may still use.
func openTapPorts(dir string, notify func(error)) (*tapPorts, error) {
	const op = "read ports of taps"
	t := &tapPorts{path: filepath.Join(dir, "taps.json"), ports: map[string]int{}}
	ports, err := durable.ReadRecord[map[string]int](t.path)
	switch {
	case err == nil && ports != nil:
		t.ports = ports
	case cdp.Is(err, cdp.Corrupt):
		aside, failed := durable.SetAside(t.path)
		if failed != nil {
			return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: t.path, Cause: failed}
		}
		notify((&cdp.Error{Op: op, Kind: cdp.Corrupt, Subject: aside, Cause: err}).
			WithHint("it was set aside: taps of VMs get new ports, and their I/O filters are told; attach other taps again"))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: t.path, Cause: err}
	}
	if lost, err := os.ReadFile(t.path + ".damaged"); err == nil {
		t.above = highestPort(lost)
	}
	return t, nil
}

// highestPort is the highest number in a damaged file that can be a port.
func highestPort(damaged []byte) (highest int) {
	for _, digits := range regexp.MustCompile(`[0-9]+`).FindAllString(string(damaged), -1) {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			highest = max(highest, int(n))
		}
	}
	return highest
}

// take is the port of a job: the one it has, else the lowest from first on that
// no job has.
func (t *tapPorts) take(job string, first int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if port, ok := t.ports[job]; ok {
		return port, nil
	}
	first = max(first, t.above+1)
	var used []int
	for _, p := range t.ports {
		used = append(used, p)
	}
	for slices.Contains(used, first) {
		first++
	}
	t.ports[job] = first
	return first, t.save()
}

func (t *tapPorts) forget(job string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.ports[job]; !ok {
		return nil
	}
	delete(t.ports, job)
	return t.save()
}

func (t *tapPorts) save() error {
	err := os.MkdirAll(filepath.Dir(t.path), 0o700)
	if err == nil {
		err = durable.WriteRecord(t.path, t.ports)
	}
	if err != nil {
		return &cdp.Error{Op: "save ports of taps", Kind: cdp.Transient, Subject: t.path, Cause: err}
	}
	return nil
}
