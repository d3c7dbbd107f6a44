package node

import (
	"context"
	"crypto/sha256"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/capture"
)

// vmSnapshots is capture.Snapshots: the vcenter service of the site makes and
// removes the snapshots, and attaches their disks to this machine.
type vmSnapshots struct{ w *captureWiring }

var _ capture.Snapshots = vmSnapshots{}

// stepEvery is how often a step that takes long is asked for again.
const stepEvery = 250 * time.Millisecond

func (s vmSnapshots) job(g cdp.GroupID) (spec.ReplicationJob, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	j, ok := s.w.jobs[g]
	if !ok || j.Source.VM == "" {
		return j, cdp.Errorf(cdp.NotFound, "find job", string(g), "no job on a VM")
	}
	return j, nil
}

func (s vmSnapshots) Freeze(ctx context.Context, g cdp.GroupID, pass string) (capture.Frozen, error) {
	var out capture.Frozen
	j, err := s.job(g)
	if err != nil {
		return out, err
	}
	r := api.FreezeRequest{Group: g, VM: j.Source.VM, Pass: pass}
	for _, d := range j.Source.Disks {
		r.Keys = append(r.Keys, d.Key)
	}
	var a api.FreezeReply
	if err := s.until(ctx, api.VMFreeze, r, &a, &a.Progress); err != nil {
		return out, err
	}
	out.At = a.At
	for _, d := range a.Disks {
		out.Disks = append(out.Disks, capture.FrozenDisk{Path: d.Path, ChangeID: d.ChangeID})
	}
	return out, nil
}

func (s vmSnapshots) Changed(ctx context.Context, g cdp.GroupID, pass string, disk cdp.DiskID, since string, fn func(off, n int64)) error {
	j, err := s.job(g)
	if err != nil {
		return err
	}
	if int(disk) >= len(j.Source.Disks) {
		return cdp.Errorf(cdp.Invalid, "ask for changes", string(g), "it has no disk %d", disk)
	}
	r := api.ChangedRequest{Group: g, VM: j.Source.VM, Pass: pass, Key: j.Source.Disks[disk].Key, Since: since}
	for {
		actx, cancel := context.WithTimeout(ctx, time.Minute)
		var a api.ChangedReply
		err := s.w.conn.Request(actx, s.w.e.site, subjects.VCenter, api.VMChanged, r, &a)
		cancel()
		if err != nil {
			return err
		}
		for _, x := range a.Areas {
			fn(x.Off, x.N)
		}
		if a.Next == 0 {
			return nil
		}
		r.From = a.Next
	}
}

func (s vmSnapshots) Thaw(ctx context.Context, g cdp.GroupID, keep string) error {
	s.w.mu.Lock()
	j := s.w.jobs[g] // none if it was deleted while this was down: its VM is searched
	s.w.mu.Unlock()
	var p api.Progress
	return s.until(ctx, api.VMThaw, api.ThawRequest{Group: g, VM: j.Source.VM, Keep: keep}, &p, &p)
}

// until asks for a step until it is done.
func (s vmSnapshots) until(ctx context.Context, endpoint string, in, out any, p *api.Progress) error {
	return pollStep(ctx, s.w.conn, s.w.e.site, endpoint, in, out, func() bool { return p.Done })
}

// pollStep asks a vcenter service for what takes long until done says so.
func pollStep(ctx context.Context, conn *bus.Conn, site cdp.Site, endpoint string, in, out any, done func() bool) error {
	for {
		actx, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := conn.Request(actx, site, subjects.VCenter, endpoint, in, out)
		cancel()
		if err != nil || done() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(stepEvery):
		}
	}
}

// sums asks the target's journal for the checksums of what it holds.
func (w *captureWiring) sums(ctx context.Context, g cdp.GroupID, disk cdp.DiskID, off, n int64, block int) ([][32]byte, error) {
	w.mu.Lock()
	j, ok := w.jobs[g]
	w.mu.Unlock()
	if !ok {
		return nil, cdp.Errorf(cdp.Transient, "ask for checksums", string(g), "the job is not known")
	}
	out := make([][32]byte, 0, (n+int64(block)-1)/int64(block))
	for most := int64(api.SumsMax / block * block); n > 0; off, n = off+most, n-most {
		var a api.SumsReply
		err := w.conn.Request(ctx, j.Target.Site, subjects.Journal, api.JournalSums, api.SumsRequest{Group: g, Disk: disk, Off: off, N: min(n, most), Block: int64(block)}, &a)
		if err != nil {
			return nil, err
		}
		if len(a.Sums)%sha256.Size != 0 {
			return nil, cdp.Errorf(cdp.Corrupt, "ask for checksums", string(g), "%d bytes of them", len(a.Sums))
		}
		for x := a.Sums; len(x) > 0; x = x[sha256.Size:] {
			out = append(out, [32]byte(x))
		}
	}
	return out, nil
}

// Alarm implements capture.Alarms.
func (w *captureWiring) Alarm(g cdp.GroupID, kind capture.AlarmKind, text string) {
	w.emit(event.CaptureAlarm{Group: g, Kind: kind, Text: text})
}
