package node

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/durable"
)

// tapPorts gives each tapped VM a port that stays: the I/O filter was told it.
type tapPorts struct {
	path  string
	sites specs[spec.Site]
	ports map[string]int // by group
}

func openTapPorts(e *env, sites specs[spec.Site]) (*tapPorts, error) {
	t := &tapPorts{path: e.path("capture", "taps.json"), sites: sites, ports: map[string]int{}}
	data, err := os.ReadFile(t.path)
	if err == nil {
		err = json.Unmarshal(data, &t.ports)
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		return nil, &cdp.Error{Op: "read taps' ports", Kind: cdp.Corrupt, Subject: t.path, Cause: err}
	}
	return t, nil
}

// address is where a VM's tap is listened for; empty: a socket of the job's own.
func (t *tapPorts) address(ctx context.Context, j spec.ReplicationJob) (string, error) {
	if j.Source.VM == "" || j.Source.Capture != cdp.Tap || j.Source.Listen != "" {
		return j.Source.Listen, nil
	}
	s, err := t.sites.get(ctx, string(j.Source.Site), described)
	if cdp.Is(err, cdp.NotFound) || err == nil && (s.VSphere == nil || s.VSphere.Taps == "") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	host, first, err := net.SplitHostPort(s.VSphere.Taps)
	if err != nil {
		return "", &cdp.Error{Op: "find tap's address", Kind: cdp.Invalid, Subject: s.VSphere.Taps, Cause: err}
	}
	port, ok := t.ports[j.Name]
	if !ok {
		var used []int
		for _, p := range t.ports {
			used = append(used, p)
		}
		port, _ = strconv.Atoi(first) // the spec's check has seen it
		for slices.Contains(used, port) {
			port++
		}
		t.ports[j.Name] = port
		if err := t.save(); err != nil {
			return "", err
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

func (t *tapPorts) forget(job string) error {
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
		return &cdp.Error{Op: "keep taps' ports", Kind: cdp.Transient, Subject: t.path, Cause: err}
	}
	return nil
}
