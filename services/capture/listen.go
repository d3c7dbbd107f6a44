package capture

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
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
		return Listen{Network: "unix", Address: filepath.Join(s.cfg.StateDir, j.Name+".sock")}
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
}

func openTapPorts(dir string) (*tapPorts, error) {
	t := &tapPorts{path: filepath.Join(dir, "taps.json"), ports: map[string]int{}}
	data, err := os.ReadFile(t.path)
	if err == nil {
		err = json.Unmarshal(data, &t.ports)
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		return nil, &cdp.Error{Op: "read ports of taps", Kind: cdp.Corrupt, Subject: t.path, Cause: err}
	}
	return t, nil
}

// take is the port of a job: the one it has, else the lowest from first on that
// no job has.
func (t *tapPorts) take(job string, first int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if port, ok := t.ports[job]; ok {
		return port, nil
	}
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
	data, err := json.Marshal(t.ports)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(t.path), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(t.path, data)
	}
	if err != nil {
		return &cdp.Error{Op: "save ports of taps", Kind: cdp.Transient, Subject: t.path, Cause: err}
	}
	return nil
}
