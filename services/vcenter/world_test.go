package vcenter_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/adapter/vsphere"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/api/apitest"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/vcenter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// world is two sites with a vCenter each, the services at both, and the rest of
// Tidemark as far as they talk to it.
type world struct {
	t    *testing.T
	ctx  context.Context
	a, b *end

	mu       sync.Mutex
	cut      bool // the source does not answer
	looks    int  // how often it was asked for a job's VMs
	jobs     map[string]spec.VMJob
	watchers []chan string
	groups   map[string]spec.ReplicationJob
	running  map[string]bool
	journals map[cdp.GroupID]bool // groups whose images the journal has open
	exports  []string
	captures event.CaptureState // the state of every group at capture
	again    int                // how often a filter was asked to be attached once more
	events   []event.Payload
	answers  map[string]bool
	holds    map[string][]string
	free     int64
	then     []cdp.Disk // of the point that is failed over to; nil: those of now
}

// end is one site.
type end struct {
	w    *world
	name cdp.Site
	sim  *vcsim.Site
	c    *vsphere.Client
	vc   vcenter.VCenter // the client, or faults around it
	svc  *vcenter.Service
	recs *records
	stop func()
	// answerWait is how long a transporter is waited for from the next start on; 0:
	// long enough for any.
	answerWait time.Duration
}

func newWorld(t *testing.T) *world {
	return newWorldWith(t, vcsim.VMSpec{Name: "transporter", Disks: []vcsim.DiskSpec{{Size: mib}}})
}

// newWorldWith is a world whose sites have such a transporter, and these datastores; none:
// the simulator's own.
func newWorldWith(t *testing.T, transporter vcsim.VMSpec, stores ...string) *world {
	t.Parallel() // most of the time is spent waiting for tasks
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, jobs: map[string]spec.VMJob{}, groups: map[string]spec.ReplicationJob{}, running: map[string]bool{},
		journals: map[cdp.GroupID]bool{}, answers: map[string]bool{}, holds: map[string][]string{}, free: -1}
	transporter.Extra, transporter.On = map[string]string{"disk.EnableUUID": "TRUE"}, true
	w.a, w.b = w.newEnd("a", transporter, stores), w.newEnd("b", transporter, stores)
	return w
}

func (w *world) newEnd(name cdp.Site, transporter vcsim.VMSpec, stores []string) *end {
	e := &end{w: w, name: name, recs: &records{m: map[string]record{}}}
	e.sim = vcsim.NewSite(w.t, vcsim.Config{Name: string(name), RevertKeepsCBT: true, DatastoreNames: stores})
	_, err := e.sim.AddVM(transporter)
	w.must(err)
	e.c, err = vsphere.Dial(w.ctx, vsphere.Config{URL: e.sim.URL(), Thumbprint: e.sim.Thumbprint(), User: e.sim.User(), Password: e.sim.Password()})
	w.must(err)
	e.vc = e.c
	w.t.Cleanup(func() {
		if e.stop != nil {
			e.stop()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = e.c.Close(ctx)
	})
	e.start()
	return e
}

// start starts the service, again if it was stopped: its state is in records.
func (e *end) start() {
	w := e.w
	cfg := vcenter.Config{Patience: 20 * time.Millisecond, Beat: 200 * time.Millisecond, Retry: 400 * time.Millisecond, RoundFor: 5 * time.Second,
		CacheFor: time.Second, DeviceWait: time.Minute, CheckEvery: 10 * time.Millisecond, AnswerWait: cmp.Or(e.answerWait, time.Minute)}
	cfg.LateFor = 3 * time.Second // longer than the calls that tests delay
	cfg.TapWait = time.Second
	cfg.GuestWait = 100 * time.Millisecond
	e.svc = vcenter.New(cfg, vcenter.Deps{
		VCenter: func(context.Context) (vcenter.VCenter, error) { return e.vc, nil },
		Site: func(context.Context) (vcenter.Site, error) {
			return vcenter.Site{Name: e.name, Transporter: "transporter", Devices: filepath.Join(e.sim.Config().Devices, "transporter")}, nil
		},
		Jobs: jobsOf{w, e.name}, Groups: groupsOf{w, e.name}, Sourced: sourcedOf{jobsOf{w, e.name}, groupsOf{w, ""}}, Records: e.recs, Peer: peerOf{w}, Runs: runsOf{w},
		Journal: journalOf{w}, Capture: captureOf{w}, Events: eventsOf{w}, Clock: clock.System, Prober: probes{}, Guests: logins{},
		Notify: func(err error) { w.t.Log(e.name, err) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.svc.Run(ctx); !errors.Is(err, context.Canceled) {
			w.t.Error(e.name, "Run:", err)
		}
	}()
	e.stop = func() { cancel(); <-done; e.stop = nil }
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// ask asks an endpoint as the bus does: JSON in, JSON out.
func ask[T any](ctx context.Context, e *end, name string, req any) (out T, err error) {
	out, _, err = sized[T](ctx, e, name, req)
	return out, err
}

// sized is ask, and how many bytes the answer had.
func sized[T any](ctx context.Context, e *end, name string, req any) (out T, size int, err error) {
	raw, err := json.Marshal(req)
	if err != nil {
		return out, 0, err
	}
	x, err := e.svc.Endpoints()[name](ctx, raw)
	if err != nil {
		return out, 0, err
	}
	if err := apitest.Answered(subjects.VCenter, name, raw, x); err != nil {
		e.w.t.Error(err)
	}
	if raw, err = json.Marshal(x); err == nil {
		err = json.Unmarshal(raw, &out)
	}
	return out, len(raw), err
}

// done asks until the answer is done.
func done[T any](t *testing.T, e *end, name string, req any, ready func(T) bool) T {
	t.Helper()
	for {
		out, err := ask[T](e.w.ctx, e, name, req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ready(out) {
			return out
		}
	}
}

// tell asks for what has no answer.
func (e *end) tell(name string, req any) error {
	_, err := ask[api.Empty](e.w.ctx, e, name, req)
	return err
}

func (e *end) progress(name string, req any) api.Progress {
	e.w.t.Helper()
	return done(e.w.t, e, name, req, func(p api.Progress) bool { return p.Done })
}

// refused asks until it is refused, and gives why; nil: it was done.
func (e *end) refused(name string, req any) error {
	e.w.t.Helper()
	for {
		p, err := ask[api.Progress](e.w.ctx, e, name, req)
		if err != nil || p.Done {
			return err
		}
	}
}

// until waits until something is so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if so() {
			return
		}
		select {
		case <-w.ctx.Done():
			w.t.Fatal("the test's time is over:", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
	st, _ := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{})
	w.t.Fatalf("it never came to be: %s\n%+v", what, st)
}

func (w *world) group(name string) spec.ReplicationJob {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.groups[name]
}

func (w *world) runs(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running[name]
}

func (w *world) apply(job spec.VMJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[job.Name] = job
	for _, c := range w.watchers {
		c <- job.Name
	}
}

func (w *world) unapply(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, name)
	for _, c := range w.watchers {
		c <- name
	}
}

func (w *world) inventory(e *end) inventory.Inventory {
	w.t.Helper()
	inv, err := e.c.Inventory(w.ctx)
	w.must(err)
	return inv
}

func (w *world) vm(e *end, name string) (inventory.VM, bool) {
	w.t.Helper()
	inv := w.inventory(e)
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == name })
	if i < 0 {
		return inventory.VM{}, false
	}
	return inv.VMs[i], true
}

// picture is a site as far as it matters: VMs, their power, disks and blocks,
// and the files; without names that the vCenter chooses.
func (w *world) picture(e *end) string {
	w.t.Helper()
	inv := w.inventory(e)
	var b strings.Builder
	for _, v := range slices.SortedFunc(slices.Values(inv.VMs), func(x, y inventory.VM) int { return strings.Compare(x.Name, y.Name) }) {
		extra, err := e.c.Extra(w.ctx, v.Ref)
		w.must(err)
		fmt.Fprintf(&b, "%s %s snapshots=%d group=%s note=%q\n", v.Name, v.Power, len(v.Snapshots), extra[inventory.MarkGroup], v.Note)
		for _, d := range v.Hardware.Disks {
			fmt.Fprintf(&b, "  %s %s %s\n", v.Hardware.Address(d), d.File, d.Mode)
		}
		for _, n := range v.Hardware.NICs {
			fmt.Fprintf(&b, "  nic %s %v\n", n.NetName, n.Connected)
		}
	}
	for _, ds := range inv.Datastores {
		for _, f := range e.sim.Files(ds.Name) {
			if strings.HasSuffix(f, ".vmdk") {
				fmt.Fprintln(&b, ds.Name, f)
			}
		}
	}
	return b.String()
}

func shop(b *end) spec.VMJob {
	inv := b.w.inventory(b)
	return spec.VMJob{
		Job: inventory.Job{Name: "shop",
			Source: inventory.JobSource{VMs: []inventory.Selector{{Folder: "prod"}}, Capture: "cbt"},
			Target: inventory.JobTarget{Cluster: inv.Clusters[0].Name, Datastore: inv.Datastores[0].Name,
				Networks: []inventory.NetworkMap{{From: "VM Network", To: inv.Networks[0].Path, Test: inv.Networks[1].Path}}}},
		SourceSite: "a", TargetSite: "b", RPO: spec.Duration(time.Minute), Journal: spec.Journal{Mode: cdp.Rollback, History: spec.Duration(time.Hour)},
	}
}

func web(name string) vcsim.VMSpec {
	return vcsim.VMSpec{Name: name, Folder: "prod", CPUs: 2, MemoryMB: 256, Firmware: "efi", On: true,
		Disks: []vcsim.DiskSpec{{Size: 4 * mib}, {Size: 2 * mib}}, NICs: []vcsim.NICSpec{{}}}
}

func (w *world) states() map[string]string {
	out := map[string]string{}
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{})
	if err != nil {
		return out
	}
	for _, j := range st.Jobs {
		for _, m := range j.Members {
			out[m.VM] = string(m.State)
		}
	}
	return out
}

// reported reports whether an event with a text was emitted.
func (w *world) reported(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, func(p event.Payload) bool { return strings.Contains(fmt.Sprintf("%+v", p), text) })
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// nothingRecorded: but for which vCenter the site has.
func (w *world) nothingRecorded() bool {
	l, err := w.b.recs.List(w.ctx, "")
	w.must(err)
	return !slices.ContainsFunc(l, func(r vcenter.Record) bool { return r.Key != "instance" })
}
