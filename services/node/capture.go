package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/subjects"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/services/capture"
	"tidemark.dev/services/scheduler"
)

// spoolBytes is how much the source's stream keeps of a group while the link is
// down.
const spoolBytes = 4 << 30

// captureWiring joins the capture service to the bus: it implements the
// service's ports, and answers for it.
type captureWiring struct {
	e    *env
	conn *bus.Conn
	svc  *capture.Service
	id   string // this run's own
	taps *tapPorts
	// specs are the jobs of all targets; nil in tests without a bus.
	specs *specs[spec.ReplicationJob]

	one     sync.Mutex // one change of a job at a time
	retry   time.Duration
	retries map[string]retry // of jobs that could not be applied, or whose deletion is not done

	mu   sync.Mutex
	jobs map[cdp.GroupID]spec.ReplicationJob
	// targets are the sites whose jobs these are, and running the jobs that are
	// meant to replicate.
	targets map[string]cdp.Site
	running map[jobAt]bool
	// refused is why a group could not be captured, or not as its job says now.
	refused map[cdp.GroupID]error
	// asked holds, by group, the trace of a mark whose frame has not left yet.
	asked map[cdp.GroupID]context.Context
	// drains are the last points that groups of VMs are making.
	drains   map[cdp.GroupID]*drain
	draining sync.WaitGroup
	ctx      context.Context // of the service's run, which drains belong to
}

// runCapture gives the capture service the bus. A job's disks are served from
// the moment the job is known; they are replicated while the job runs.
func runCapture(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Capture)
	if err != nil {
		return err
	}
	defer conn.Close()
	w := &captureWiring{e: e, conn: conn, id: ulid.Make().String(), jobs: map[cdp.GroupID]spec.ReplicationJob{}, targets: map[string]cdp.Site{}, running: map[jobAt]bool{}, refused: map[cdp.GroupID]error{},
		asked: map[cdp.GroupID]context.Context{}, drains: map[cdp.GroupID]*drain{},
		retry: 15 * time.Second, retries: map[string]retry{}}
	w.svc, err = capture.New(capture.Config{StateDir: e.path("capture"), WindowDir: e.windows()},
		capture.Deps{Stream: w.stream, Epochs: w, Journal: w, Events: w, Snapshots: vmSnapshots{w}, Sums: w.sums})
	if err != nil {
		return err
	}
	sites, err := openSpecs[spec.Site](ctx, e, conn, subjects.KeySite)
	if err != nil {
		return err
	}
	if w.taps, err = openTapPorts(e, sites); err != nil {
		return err
	}
	// What the targets' people said, as far as it has come over the links: the
	// copies are here, so that a restart needs no link.
	targets := append([]cdp.Site{e.site}, e.peers...)
	specs, err := openSpecs[spec.ReplicationJob](ctx, e, conn, subjects.KeyJob)
	if err != nil {
		return err
	}
	w.specs = &specs
	runs, err := bus.OpenBucket[scheduler.RunState](ctx, conn, e.site, subjects.BucketState, subjects.KeyJob)
	if err != nil {
		return err
	}
	farRuns, err := openCopies[scheduler.RunState](ctx, e, conn, subjects.BucketState, subjects.KeyJob)
	if err != nil {
		return err
	}
	eg, ctx := errgroup.WithContext(ctx)
	w.ctx = ctx
	defer w.draining.Wait()
	eg.Go(func() error { return w.svc.Run(ctx) })
	for i, b := range append([]*bus.Bucket[spec.ReplicationJob]{specs.own}, specs.peers...) {
		eg.Go(func() error {
			return ended(ctx, watch(ctx, e, b, func(name string, j *spec.ReplicationJob) error { w.apply(ctx, targets[i], name, j); return nil }))
		})
	}
	for i, b := range append([]*bus.Bucket[scheduler.RunState]{runs}, farRuns...) {
		eg.Go(func() error {
			return ended(ctx, watch(ctx, e, b, func(name string, r *scheduler.RunState) error { w.run(targets[i], name, r); return nil }))
		})
	}
	eg.Go(func() error { return ended(ctx, conn.Serve(ctx, subjects.Capture, w.endpoints())) })
	eg.Go(func() error {
		return ended(ctx, conn.HandleCommands(ctx, subjects.Capture, map[string]bus.Handler{"mark": command(w.mark), "synced": command(w.synced)}))
	})
	return eg.Wait()
}

// apply starts, changes or ends the capture of a job of target. The name of a
// group is its own at a target only: the second of two targets that would have a
// group of one name is refused, for they would take each other's writes.
func (w *captureWiring) apply(ctx context.Context, target cdp.Site, name string, j *spec.ReplicationJob) {
	if j != nil && (j.Source.Site != w.e.site || j.Target.Site != target) {
		return
	}
	w.one.Lock()
	defer w.one.Unlock()
	w.mu.Lock()
	has, taken := w.targets[name]
	w.mu.Unlock()
	if taken && has != target {
		if j != nil {
			w.e.warn(cdp.Errorf(cdp.Conflict, "capture job", name, "a job of this name at the site %s has its disks captured here; that of %s is not", has, target).
				WithHint("give one of the two another name"))
		}
		return
	}
	if j == nil && !taken && w.wanted(ctx, name) {
		return // it was deleted at this target while another one's is captured
	}
	if j != nil {
		w.mu.Lock()
		w.targets[name] = target
		w.mu.Unlock()
	}
	w.applyNow(ctx, name, j)
}

// wanted says whether some target has a job of this name whose disks are here.
// Where that cannot be found out, it has.
func (w *captureWiring) wanted(ctx context.Context, name string) bool {
	if w.specs == nil {
		return false
	}
	j, err := w.specs.get(ctx, name, func(j spec.ReplicationJob) bool { return j.Source.Site == w.e.site })
	return err == nil && j.Source.Site == w.e.site || err != nil && !cdp.Is(err, cdp.NotFound)
}

// run notes whether a job of target is meant to replicate.
func (w *captureWiring) run(target cdp.Site, name string, r *scheduler.RunState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[jobAt{target, name}] = r != nil && r.Desired == scheduler.Running
}

// jobAt is a job by its name at its target.
type jobAt struct {
	target cdp.Site
	name   string
}

// runs says whether a group is meant to replicate. Call with mu held.
func (w *captureWiring) runs(g cdp.GroupID) bool {
	return w.running[jobAt{w.targets[string(g)], string(g)}]
}

// applyNow is apply with one held. What fails is tried again until it is done or
// the job is applied anew: a window that another process still has, a disk that
// is not there yet.
func (w *captureWiring) applyNow(ctx context.Context, name string, j *spec.ReplicationJob) {
	id := cdp.GroupID(name)
	before, again := w.retries[name]
	if again {
		before.end()
		delete(w.retries, name)
	}
	var err error
	if j == nil {
		err = w.forget(ctx, name)
	} else {
		listens := *j
		listens.Source.Listen, err = w.taps.address(ctx, *j)
		w.mu.Lock()
		w.jobs[id] = listens
		w.mu.Unlock()
		var c capture.Job
		if err == nil {
			c, err = w.job(listens)
		}
		if err == nil {
			err = w.svc.Apply(ctx, c)
		}
	}
	w.mu.Lock()
	if delete(w.refused, id); err != nil && j != nil {
		w.refused[id] = err
	}
	w.mu.Unlock()
	if err == nil || ctx.Err() != nil {
		return
	}
	w.applyLater(ctx, name, j, err)
	if !again || before.err.Error() != err.Error() {
		w.e.warn(err, "job", name)
		w.emit(event.CaptureStateChanged{Group: id, State: event.Detached, Reason: err.Error(), RPOClass: event.RPOUnbounded})
	}
}

// forget ends all that is here of a job that was deleted, maybe while this was
// down. Its passes' snapshots go first, for which the job must still be known.
func (w *captureWiring) forget(ctx context.Context, name string) error {
	id := cdp.GroupID(name)
	if err := w.svc.Purge(ctx, id); err != nil {
		return err
	}
	w.mu.Lock()
	delete(w.jobs, id)
	delete(w.targets, name)
	w.mu.Unlock()
	return errors.Join(bus.DeleteFrames(ctx, w.conn, w.e.site, id), w.taps.forget(name))
}

// retry is what is tried again, and why.
type retry struct {
	end context.CancelFunc
	err error
}

// applyLater tries it once more, after a while. Call with one held.
func (w *captureWiring) applyLater(ctx context.Context, name string, j *spec.ReplicationJob, err error) {
	mine, end := context.WithCancel(ctx)
	w.retries[name] = retry{end, err}
	w.draining.Go(func() {
		select {
		case <-mine.Done():
			return
		case <-time.After(w.retry):
		}
		w.one.Lock()
		defer w.one.Unlock()
		if mine.Err() == nil {
			w.applyNow(ctx, name, j)
		}
	})
}

func (w *captureWiring) job(j spec.ReplicationJob) (capture.Job, error) {
	c := capture.Job{Group: j.Group(), Mode: capture.Mode(j.Source.Capture), Frozen: j.Source.VM != "", Verify: j.Source.VM != "" && j.Target.Adopt}
	if j.Source.Capture == cdp.CBT {
		// A point is as old as its cycle when that is complete, and the next one's
		// time goes on top: with two cycles to an RPO it is kept.
		c.Every = j.RPO.Std() / 2
	} else {
		l := w.listen(j)
		if l.Network == "tcp" {
			var err error
			if l.TLS, err = w.e.nbdTLS(); err != nil {
				return capture.Job{}, err
			}
		}
		c.Listen = []capture.Listen{l}
	}
	for i, d := range j.Source.Disks {
		c.Disks = append(c.Disks, capture.JobDisk{Disk: cdp.Disk{ID: cdp.DiskID(i), Name: d.Name, Size: int64(d.Size)}, Path: d.Path})
	}
	return c, nil
}

func (w *captureWiring) listen(j spec.ReplicationJob) capture.Listen {
	switch addr := j.Source.Listen; {
	case addr == "":
		return capture.Listen{Network: "unix", Address: w.e.path("capture", j.Name+".sock")}
	case filepath.IsAbs(addr):
		return capture.Listen{Network: "unix", Address: addr}
	default:
		return capture.Listen{Network: "tcp", Address: addr}
	}
}

// uris are the addresses of a job's disks, by disk.
func (w *captureWiring) uris(j spec.ReplicationJob) (out []string) {
	if j.Source.Capture == cdp.CBT {
		return []string{}
	}
	l := w.listen(j)
	for _, d := range j.Source.Disks {
		switch {
		case l.Network == "unix":
			out = append(out, "nbd+unix:///"+d.Name+"?socket="+l.Address)
		case w.e.tls.None():
			out = append(out, "nbd://"+l.Address+"/"+d.Name)
		default:
			out = append(out, "nbds://"+l.Address+"/"+d.Name)
		}
	}
	return out
}

// holder is who was given a group's newest epoch.
type holder struct {
	Capturer string    `json:"capturer"` // a name of its own for each run of a capture service
	At       time.Time `json:"at"`
}

// Next implements capture.Epochs: the bucket's revision of the group's key is
// the fencing number, so it grows, and only its holder can raise it. A server
// that lost power may have forgotten the newest; then it is raised above held.
func (w *captureWiring) Next(ctx context.Context, g cdp.GroupID, held cdp.Epoch) (cdp.Epoch, error) {
	b, err := bus.OpenBucket[holder](ctx, w.conn, w.e.site, subjects.BucketEpoch, "group")
	if err != nil {
		return 0, err
	}
	me := holder{w.id, time.Now()}
	if held == 0 {
		rev, err := b.Put(ctx, string(g), me)
		return cdp.Epoch(rev), err
	}
	for at := uint64(held); ; {
		var rev uint64
		if at == 0 {
			rev, err = b.Create(ctx, string(g), me)
		} else {
			rev, err = b.Update(ctx, string(g), me, at)
		}
		if err == nil && cdp.Epoch(rev) > held || err != nil && !cdp.Is(err, cdp.Conflict) {
			return cdp.Epoch(rev), err
		}
		now, err := b.Get(ctx, string(g))
		switch {
		case cdp.Is(err, cdp.NotFound):
			at = 0
		case err != nil:
			return 0, err
		case cdp.Epoch(now.Revision) <= held:
			at = now.Revision
		case now.Value.Capturer == w.id:
			return cdp.Epoch(now.Revision), nil // given to us before; the answer was lost
		default:
			return 0, cdp.Errorf(cdp.Fenced, "take epoch", string(g), "another capturer has taken the group").
				WithHint("only one capture service may serve a group: stop this one, or the other")
		}
	}
}

// Cursor implements capture.Journal.
func (w *captureWiring) Cursor(ctx context.Context, g cdp.GroupID) (admission.State, error) {
	w.mu.Lock()
	j, ok := w.jobs[g]
	w.mu.Unlock()
	var c api.Cursor
	if !ok {
		return admission.State{}, cdp.Errorf(cdp.Transient, "ask journal", string(g), "the job is not known")
	}
	if err := w.conn.Request(ctx, j.Target.Site, subjects.Journal, api.JournalCursor, api.GroupRequest{Group: g}, &c); err != nil {
		// Whatever the reason, the journal cannot be asked now.
		return admission.State{}, &cdp.Error{Op: "ask journal", Kind: cdp.Transient, Subject: string(g), Cause: err}
	}
	s := admission.State{Epoch: c.Epoch, No: c.Frame, Head: c.Head}
	copy(s.Hash[:], c.Hash)
	return s, nil
}

func (w *captureWiring) emit(p event.Payload) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := w.conn.Emit(ctx, p); err != nil {
		w.e.warn(err)
	}
}

// StateChanged, Progress and ListenerFailed implement capture.Events.
func (w *captureWiring) StateChanged(c capture.Change) {
	class := event.RPOUnbounded
	switch c.To {
	case capture.Replicating:
		class = event.RPOSubSecond
	case capture.Overflow, capture.Resyncing, capture.NeedsResync:
		class = event.RPOMinutes
	}
	w.emit(event.CaptureStateChanged{Group: c.Group, State: event.CaptureState(c.To), Reason: c.Reason, RPOClass: class})
}

func (w *captureWiring) Progress(p capture.Progress) {
	w.emit(event.CaptureProgress{Group: p.Group, Done: p.Done, Total: p.Total})
}

func (w *captureWiring) ListenerFailed(g cdp.GroupID, err error) { w.e.warn(err, "job", string(g)) }

// endpoints answer for capture.
func (w *captureWiring) endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.CaptureClock: func(_ context.Context, _ []byte) (any, error) {
			received := time.Now().UnixNano()
			return api.ClockReply{Received: received, Sent: time.Now().UnixNano()}, nil
		},
		api.CaptureCopyStarted: api.Answer(func(_ context.Context, r api.DiskRequest) (any, error) {
			return api.Empty{}, w.ofDisk(r, (*capture.Group).CopyStarted)
		}),
		api.CaptureLive: api.Answer(func(_ context.Context, r api.DiskRequest) (any, error) {
			return api.Empty{}, w.ofDisk(r, (*capture.Group).Live)
		}),
		api.CaptureUnlive: api.Answer(func(_ context.Context, r api.DiskRequest) (any, error) {
			return api.Empty{}, w.ofDisk(r, func(g *capture.Group, d cdp.DiskID) error { g.Unlive(d); return nil })
		}),
		api.CaptureSynced: api.Answer(func(_ context.Context, r api.DiskRequest) (any, error) {
			return api.Empty{}, w.ofDisk(r, (*capture.Group).Synced)
		}),
		api.CaptureStatus: api.Answer(func(_ context.Context, r api.GroupRequest) (any, error) { return w.status(r), nil }),
		api.CaptureDrain: api.Answer(func(ctx context.Context, r api.DrainRequest) (any, error) {
			return w.drain(ctx, r)
		}),
	}
}

func (w *captureWiring) status(r api.GroupRequest) api.CaptureStatusReply {
	w.mu.Lock()
	defer w.mu.Unlock()
	reply := api.CaptureStatusReply{Groups: []api.CaptureGroup{}}
	for id, j := range w.jobs {
		if r.Group != "" && r.Group != id || r.Target != "" && r.Target != j.Target.Site {
			continue
		}
		g, err := w.svc.Group(id)
		if err != nil {
			if why := w.refused[id]; why != nil {
				reply.Refused = append(reply.Refused, api.CaptureRefused{Group: id, Reason: why.Error(), Hint: cdp.HintOf(why)})
			}
			continue
		}
		st := g.Status()
		c := api.CaptureGroup{Group: id, Target: j.Target.Site, State: event.CaptureState(st.State), Seq: st.Seq, Durable: st.Durable, InFlight: st.Pending,
			Dirty: st.DirtyBytes, Done: st.Done, Total: st.Total, Since: st.Since, Verified: st.Verified, Exports: w.uris(j)}
		why := st.Failed
		if why == nil && st.State != capture.Replicating {
			why = st.Trouble
		}
		if why == nil {
			why = w.refused[id]
		}
		if !w.runs(id) {
			why = notRunning(id)
		}
		if why != nil {
			c.Reason, c.Hint = why.Error(), cdp.HintOf(why)
		}
		for i, d := range j.Source.Disks {
			c.Disks = append(c.Disks, cdp.Disk{ID: cdp.DiskID(i), Name: d.Name, Size: g.Backend(cdp.DiskID(i)).Size()})
		}
		reply.Groups = append(reply.Groups, c)
	}
	return reply
}

// drain makes the last point. That of a cbt group is a cycle of its own, and that
// of a VM that is off a pass: they take longer than a request, and are asked for
// again.
func (w *captureWiring) drain(ctx context.Context, r api.DrainRequest) (any, error) {
	id := r.Group
	g, err := w.svc.Group(id)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	j := w.jobs[id]
	if r.Target != "" && r.Target != j.Target.Site {
		w.mu.Unlock()
		return nil, cdp.Errorf(cdp.NotFound, "make the last point", string(id), "it is a group of %s here", j.Target.Site)
	}
	last, asked := w.drains[id]
	if j.Source.VM == "" {
		w.mu.Unlock()
		p, err := g.Mark(true)
		return api.DrainReply{Frame: p.Frame, Seq: p.Seq}, err
	}
	if !asked || last.run != r.Run {
		last = &drain{run: r.Run, made: make(chan drained, 1)}
		w.drains[id] = last
		w.draining.Go(func() {
			p, err := w.lastPoint(w.ctx, g, j)
			last.made <- drained{p, err}
		})
	}
	w.mu.Unlock()
	select {
	case d := <-last.made:
		w.mu.Lock()
		if w.drains[id] == last {
			delete(w.drains, id)
		}
		w.mu.Unlock()
		return api.DrainReply{Frame: d.Frame, Seq: d.Seq}, d.err
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return api.DrainReply{Pending: true}, nil
}

func (w *captureWiring) lastPoint(ctx context.Context, g *capture.Group, j spec.ReplicationJob) (cdp.Point, error) {
	if j.Source.Capture == cdp.CBT {
		return g.CyclePoint(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return g.LastPoint(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		var r api.VMPowerReply
		err := w.conn.Request(ctx, w.e.site, subjects.VCenter, api.VMPower, api.VMPowerRequest{VM: j.Source.VM}, &r)
		if err == nil && r.Power != inventory.PoweredOff {
			e := cdp.Errorf(cdp.Conflict, "see writes", j.Name, "the VM is %s, and its I/O filter does not tell its writes", r.Power)
			return e.WithHint("power the VM off, or wait until the filter is attached again: tidemark status " + j.Name)
		}
		return err
	})
}

// drain is the last point that is being made for a run: that of another run is
// older than this one's beginning.
type drain struct {
	run  string
	made chan drained // room for one
}

type drained struct {
	cdp.Point
	err error
}

func (w *captureWiring) cbt(id cdp.GroupID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs[id].Source.Capture == cdp.CBT
}

func (w *captureWiring) mark(ctx context.Context, m event.CaptureMark) error {
	g, err := w.svc.Group(m.Group)
	if cdp.Is(err, cdp.NotFound) && !m.Requested {
		return nil // the job has not come over the link yet
	}
	if err != nil {
		return err
	}
	if w.cbt(m.Group) { // its cycles have their own cadence
		if m.Requested {
			return g.Cycle()
		}
		return nil
	}
	w.mu.Lock()
	w.asked[m.Group] = context.WithoutCancel(ctx) // before the frame can leave
	w.mu.Unlock()
	if _, err = g.Mark(m.Requested); err != nil {
		w.takeMark(m.Group)
	}
	if cdp.Is(err, cdp.Conflict) && !m.Requested {
		return nil // the cadence has nothing to mark while history is incomplete
	}
	return err
}

// takeMark is the trace of the mark that the next marker frame answers, nil for
// none.
func (w *captureWiring) takeMark(g cdp.GroupID) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx := w.asked[g]
	delete(w.asked, g)
	return ctx
}

func (w *captureWiring) synced(_ context.Context, s event.CaptureSynced) error {
	return w.ofDisk(api.DiskRequest{Group: s.Group, Disk: s.Disk}, (*capture.Group).Synced)
}

// ofDisk does what concerns one disk of a job, by its name.
func (w *captureWiring) ofDisk(r api.DiskRequest, do func(*capture.Group, cdp.DiskID) error) error {
	g, err := w.svc.Group(r.Group)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, d := range w.jobs[r.Group].Source.Disks {
		if strings.EqualFold(d.Name, r.Disk) {
			return do(g, cdp.DiskID(i))
		}
	}
	return cdp.Errorf(cdp.NotFound, "find disk", r.Disk, "job %s has no such disk", r.Group)
}

func notRunning(g cdp.GroupID) *cdp.Error {
	return cdp.Errorf(cdp.Transient, "replicate", string(g), "the job is not running").
		WithHint("start it with: tidemark job run " + string(g))
}
