package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/e2e/proc"
)

// tap is what a host's I/O filter daemon does for one disk: `tidemark tap
// attach`, started again for as long as the filter is attached. Whatever becomes
// of it, the guest's own disk is not its business.
type tap struct {
	proc *proc.Process
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// Parameters that a filter is attached with.
const (
	paramGroup    = "group"
	paramDisk     = "disk"
	paramEndpoint = "endpoint"
)

// How long until a daemon that ended is started again: twice as long each time
// it ended at once.
const (
	tapSoon = 200 * time.Millisecond
	tapLate = 5 * time.Second
)

// newTap does not start it. tidemark is the command line up to its first verb.
func newTap(tidemark []string, dir, device, qmp string, params map[string]string) (*tap, error) {
	group, disk := params[paramGroup], params[paramDisk]
	if len(tidemark) == 0 || group == "" || disk == "" {
		return nil, fmt.Errorf("tap %s: needs --tidemark and the parameters %s and %s, has %v", device, paramGroup, paramDisk, params)
	}
	args := append(append([]string{}, tidemark...), "tap", "attach", group, "--disk", disk, "--qmp", qmp, "--device", device, "--live")
	if uri := params[paramEndpoint]; uri != "" {
		args = append(args, "--endpoint", uri)
	}
	return &tap{proc: &proc.Process{Name: "tap of " + device, Args: args, Log: filepath.Join(dir, "tap-"+device+".log")}}, nil
}

// start keeps it running until end, or until ctx ends.
func (t *tap) start(ctx context.Context) {
	ctx, t.stop = context.WithCancel(ctx)
	t.wg.Go(func() {
		for wait := tapSoon; ; wait = min(2*wait, tapLate) {
			began := time.Now()
			if err := t.proc.Start(); err != nil {
				t.note("%v", err)
			} else {
				select {
				case <-t.proc.Done():
					t.note("%v", t.proc.Running())
				case <-ctx.Done():
					_ = proc.Stop(8*time.Second, t.proc) // killed if it does not
					return
				}
			}
			if time.Since(began) > tapLate {
				wait = tapSoon
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
	})
}

// end returns when the daemon is gone.
func (t *tap) end() {
	t.stop()
	t.wg.Wait()
}

// note adds a line to its log.
func (t *tap) note(format string, args ...any) {
	f, err := os.OpenFile(t.proc.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // the log is the only place to say so
	}
	defer f.Close()
	fmt.Fprintf(f, "%s lab: %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
