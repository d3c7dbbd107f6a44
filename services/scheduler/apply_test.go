package scheduler_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/api/apitest"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/jobrules"
	"tidemark.dev/pkg/core/spoolshare"
	"tidemark.dev/services/scheduler"
)

// memSpecs is Specs in memory.
type memSpecs[T any] struct {
	mu  sync.Mutex
	m   map[string]T
	rev map[string]uint64
}

func newMemSpecs[T any]() *memSpecs[T] {
	return &memSpecs[T]{m: map[string]T{}, rev: map[string]uint64{}}
}

func (s *memSpecs[T]) Get(_ context.Context, name string) (T, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[name]
	if !ok {
		return v, 0, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return v, s.rev[name], nil
}

func (s *memSpecs[T]) Put(_ context.Context, name string, v T, revision uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rev[name] != revision {
		return 0, cdp.Errorf(cdp.Conflict, "put", name, "revision")
	}
	s.m[name], s.rev[name] = v, revision+1
	return revision + 1, nil
}

func (s *memSpecs[T]) Delete(_ context.Context, name string, revision uint64) error {
	if s.rev[name] != revision {
		return cdp.Errorf(cdp.Conflict, "delete", name, "revision")
	}
	delete(s.m, name)
	delete(s.rev, name)
	return nil
}

// owner is what owning jobs needs, in memory.
type owner struct {
	t *testing.T
	*scheduler.Service
	jobs     *memSpecs[spec.ReplicationJob]
	vmJobs   *memSpecs[spec.VMJob]
	states   *memSpecs[api.RunState]
	run      *failoverrun.Run
	points   int
	exports  []api.Export
	silent   error // of the journal
	lock     *api.RetentionLock
	captured *api.CaptureGroup // at any site
	spool    api.SpoolUse
	away     error // of the source site
	check    api.JobCheckReply
	vms      api.VMJobState
	steps    []api.Progress // of a deletion at the vCenters
	asked    []api.VMJobDeleteRequest
	linked   map[string]spec.ReplicationJob // of the linked site
	reverse  api.VMReverseReply
	reversed []api.VMReverseRequest
	started  []string // jobs on VMs
	facts    []event.Payload
	disks    map[string]api.DiskFacts // by path, where a good one would be no other
	dead     map[cdp.Site]error       // sites where nobody looks at disks
	agreed   func(approval.Act) error // nil: two persons agreed to everything
	looked   atomic.Int64             // paths
}

func newOwner(t *testing.T) *owner {
	o := &owner{t: t, spool: spoolshare.Default.Divide(0), jobs: newMemSpecs[spec.ReplicationJob](), vmJobs: newMemSpecs[spec.VMJob](), states: newMemSpecs[api.RunState]()}
	o.Service = scheduler.New(scheduler.Config{Here: jobrules.Here{Site: "dr", Links: []cdp.Site{"prod"}}}, scheduler.Deps{
		Jobs: ownerJobs{o.jobs}, VMJobs: o.vmJobs, Runs: ownerRuns{o.states}, Failovers: o, Linked: o, Approvals: o, Journal: o, Disks: o, VMs: o, Sources: o, Events: o, Clock: clock.System})
	return o
}

type ownerJobs struct{ *memSpecs[spec.ReplicationJob] }

func (j ownerJobs) List(context.Context) (out []spec.ReplicationJob, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, x := range j.m {
		out = append(out, x)
	}
	return out, nil
}

func (ownerJobs) Watch(ctx context.Context, _ func(string, *spec.ReplicationJob) error) error {
	<-ctx.Done()
	return ctx.Err()
}

type ownerRuns struct{ *memSpecs[api.RunState] }

func (r ownerRuns) Put(ctx context.Context, name string, s api.RunState, rev uint64) error {
	_, err := r.memSpecs.Put(ctx, name, s, rev)
	return err
}

func (ownerRuns) Watch(ctx context.Context, _ func(string, *api.RunState) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (o *owner) Run(context.Context, string) (*failoverrun.Run, error) { return o.run, nil }
func (o *owner) Points(context.Context, cdp.GroupID) (int, error)      { return o.points, o.silent }
func (o *owner) Exports(context.Context, cdp.GroupID) ([]api.Export, error) {
	return o.exports, o.silent
}
func (o *owner) Lock(context.Context, cdp.GroupID) (*api.RetentionLock, error) {
	return o.lock, o.silent
}
func (o *owner) Gone(_ context.Context, g cdp.GroupID) (bool, error) { return o.points == 0, nil }
func (o *owner) Group(context.Context, cdp.Site, cdp.GroupID) (*api.CaptureGroup, error) {
	return o.captured, nil
}
func (o *owner) State(context.Context, string) (api.VMJobState, error) { return o.vms, nil }
func (o *owner) Spool(context.Context, cdp.Site) (api.SpoolUse, error) { return o.spool, o.away }

func (o *owner) Emit(_ context.Context, p event.Payload) error {
	o.facts = append(o.facts, p)
	return nil
}
func (o *owner) Check(context.Context, spec.VMJob) (api.JobCheckReply, error) { return o.check, nil }

func (o *owner) Delete(_ context.Context, r api.VMJobDeleteRequest) (api.Progress, error) {
	o.asked = append(o.asked, r)
	p := o.steps[0]
	o.steps = o.steps[1:]
	return p, nil
}

// ask asks an endpoint, as the bus does.
func ask[R any](o *owner, endpoint string, req any) (r R, err error) {
	o.t.Helper()
	raw, err := json.Marshal(req)
	if err != nil {
		o.t.Fatal(err)
	}
	out, err := o.Endpoints()[endpoint](o.t.Context(), raw)
	if err != nil {
		return r, err
	}
	if err := apitest.Answered(subjects.Scheduler, endpoint, raw, out); err != nil {
		o.t.Error(err)
	}
	if raw, err = json.Marshal(out); err == nil {
		err = json.Unmarshal(raw, &r)
	}
	return r, err
}

func (o *owner) apply(doc string, dry bool) api.ApplyReply {
	o.t.Helper()
	r, err := ask[api.ApplyReply](o, api.JobApply, api.ApplyRequest{Document: json.RawMessage(doc), DryRun: dry})
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

const (
	disksDoc = `{"apiVersion":"tidemark.dev/v1","kind":"ReplicationJob","metadata":{"name":"web"},"spec":{
 "source":{"site":"prod","capture":"inline","disks":[{"name":"a","path":"/a"}]},"target":{"site":"dr","disks":[{"name":"a","path":"/b"}]},"rpo":"5s"}}`
	vmsDoc = `{"apiVersion":"tidemark.dev/v1","kind":"ReplicationJob","metadata":{"name":"shop"},"spec":{
 "source":{"site":"prod","capture":"cbt","vms":[{"name":"web01"}]},"target":{"site":"dr","cluster":"C1","datastore":"ds1"},"rpo":"1m"}}`
)

// TestApplyDisks: a job is written when every rule allows it, and then only; a dry
// run says the same and writes nothing.
func TestApplyDisks(t *testing.T) {
	o := newOwner(t)
	if r := o.apply(disksDoc, true); r.Change != api.Created || len(o.jobs.m) != 0 || len(o.facts) != 0 {
		t.Errorf("%+v", r)
	}
	for _, want := range []api.Change{api.Created, api.Unchanged} {
		if r := o.apply(disksDoc, false); r.Change != want || r.Name != "web" || len(o.facts) != 1 {
			t.Errorf("%+v, %v", r, o.facts)
		}
	}
	bad := strings.NewReplacer(`"dr"`, `"moon"`, `"prod"`, `"mars"`, `"web"`, `"new"`).Replace(disksDoc) // of a new job: the disks of web stay
	if r := o.apply(bad, false); len(r.Problems) != 2 || r.Change != "" || r.Problems[0].Path != "/spec/target/site" || !strings.Contains(r.Problems[0].Hint, "--site moon") {
		t.Errorf("%+v", r)
	}
	if r := o.apply(strings.Replace(disksDoc, `"5s"`, `"5ms"`, 1), false); len(r.Problems) != 1 || r.Problems[0].Path != "/spec/rpo" || r.Problems[0].Kind != cdp.Invalid {
		t.Errorf("%+v", r)
	}
	o.states.m["web"], o.states.rev["web"] = api.RunState{Desired: api.DesiredRunning}, 1
	if r := o.apply(strings.Replace(disksDoc, `"/b"`, `"/c"`, 1), false); len(r.Problems) != 1 || r.Problems[0].Kind != cdp.Conflict || !cdp.Is(r.Err(), cdp.Conflict) {
		t.Errorf("%+v", r)
	}
	if r := o.apply(strings.Replace(disksDoc, `"5s"`, `"6s"`, 1), false); r.Change != api.Changed || o.jobs.m["web"].RPO.Std().Seconds() != 6 {
		t.Errorf("%+v", r)
	}
}

// A job keeps its ID through every change, and one that is made after it was deleted has
// another: a failover of the first is none of the second. No document has it.
func TestAJobOfADeletedOnesNameIsAnother(t *testing.T) {
	o := newOwner(t)
	o.apply(disksDoc, false)
	id := o.jobs.m["web"].ID
	o.apply(strings.Replace(disksDoc, `"5s"`, `"6s"`, 1), false)
	job := o.jobs.m["web"]
	if id == "" || job.ID != id {
		t.Errorf("%q, then %q", id, job.ID)
	}
	doc, err := spec.Document(spec.Object{Job: &job})
	if err != nil || strings.Contains(string(doc), id) {
		t.Errorf("%s, %v", doc, err)
	}
	if r := o.apply(string(doc), false); r.Change != api.Unchanged {
		t.Errorf("%+v", r)
	}
	if p, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: "web"}); err != nil || !p.Done {
		t.Fatal(p, err)
	}
	o.apply(disksDoc, false)
	if again := o.jobs.m["web"].ID; again == "" || again == id {
		t.Errorf("%q, and again %q", id, again)
	}
}

// TestApplyVMs: what the vcenter services find refuses a job on VMs, or is a
// warning.
func TestApplyVMs(t *testing.T) {
	o := newOwner(t)
	o.check.Problems = []inventory.Problem{{VM: "web01", Path: "/spec/source/vms", Rule: "vtpm", Text: "it has a virtual TPM"}, {Rule: inventory.RuleUnreachable, Text: "prod does not answer"}}
	r := o.apply(vmsDoc, false)
	if len(r.Problems) != 2 || r.Problems[0].VM != "web01" || !cdp.Is(r.Err(), cdp.Transient) || len(o.vmJobs.m) != 0 {
		t.Errorf("%+v", r)
	}
	o.check = api.JobCheckReply{VMs: []string{"web01"}, Joins: []string{"web01"}, Warnings: []inventory.Problem{{Rule: "tag", Text: "no VM has it"}}}
	if r = o.apply(vmsDoc, false); r.Change != api.Created || r.VMs == nil || *r.VMs != 1 || len(r.Warnings) != 1 || len(r.Joins) != 0 {
		t.Errorf("%+v", r)
	}
	if r = o.apply(strings.Replace(vmsDoc, `"1m"`, `"2m"`, 1), false); r.Change != api.Changed || !slices.Equal(r.Joins, []string{"web01"}) {
		t.Errorf("%+v", r)
	}
}

// TestDeleteDisks: a job is not deleted while it runs, while a failover run needs
// it, or while it has points that nobody agreed to drop.
func TestDeleteDisks(t *testing.T) {
	o := newOwner(t)
	refused := func(kind cdp.Kind, want string, r api.JobDeleteRequest) {
		t.Helper()
		if _, err := ask[api.Progress](o, api.JobDelete, r); !cdp.Is(err, kind) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s %q: %v", kind, want, err)
		}
	}
	refused(cdp.NotFound, "no such job", api.JobDeleteRequest{Job: "web"})
	o.apply(disksDoc, false)
	refused(cdp.Invalid, "replicas", api.JobDeleteRequest{Job: "web", Replicas: true})
	o.states.m["web"], o.states.rev["web"] = api.RunState{Desired: api.DesiredRunning}, 1
	refused(cdp.Conflict, "it is running", api.JobDeleteRequest{Job: "web", DropPoints: true})
	o.states.m["web"] = api.RunState{Desired: api.DesiredStopped}
	o.run = &failoverrun.Run{Request: failoverrun.Request{ID: "r1"}, Phase: recovery.Ready}
	refused(cdp.Conflict, "the failover run r1 is ready", api.JobDeleteRequest{Job: "web", DropPoints: true})
	o.run.Phase, o.run.Old = recovery.Undone, &failoverrun.OldVM{Run: "r1", Site: "prod", VM: "u1", Want: recovery.Restored}
	refused(cdp.Conflict, "its failover r1 is not settled", api.JobDeleteRequest{Job: "web", DropPoints: true, Force: true})
	o.run.Old.Done, o.points = true, 3
	refused(cdp.Conflict, "3 would be lost", api.JobDeleteRequest{Job: "web"})
	o.silent = cdp.Errorf(cdp.Transient, "ask journal", "", "nobody answers")
	refused(cdp.Conflict, "count recovery points", api.JobDeleteRequest{Job: "web"})
	o.run.Old.Done = false
	if p, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: "web", DropPoints: true, ForgetOwed: true}); err != nil || !p.Done || len(o.jobs.m) != 0 {
		t.Error(p, err)
	}
	if last, ok := o.facts[len(o.facts)-1].(event.JobDeleted); !ok || last.Job != "web" {
		t.Errorf("%+v", o.facts)
	}
}

// TestDeleteVMs: a job on VMs is deleted once the vcenter service is done with it; a
// single VM only if its job does not select it any more.
func TestDeleteVMs(t *testing.T) {
	o := newOwner(t)
	o.check.VMs = []string{"web01"}
	o.apply(vmsDoc, false)
	member := spec.ReplicationJob{Name: "shop-web01", Of: "shop", RPO: spec.Duration(spec.DefaultRPO), Source: spec.Source{Site: "prod"}, Target: spec.Target{Site: "dr"}}
	if _, err := ask[api.Empty](o, api.VMGroupApply, api.VMGroupApplyRequest{Job: member}); err != nil {
		t.Fatal(err)
	}
	o.vms = api.VMJobState{Job: "shop", Members: []api.VMMember{{Group: "shop-web01", State: inventory.Ready}}}
	if _, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: "shop-web01", DropPoints: true}); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "made for a VM of the job shop") {
		t.Error(err)
	}
	o.vms.Members[0].State, o.steps = inventory.Gone, []api.Progress{{Done: true}}
	o.run = &failoverrun.Run{Phase: recovery.Committed, Old: &failoverrun.OldVM{Run: "r1", Site: "prod", Want: recovery.Fenced}}
	for _, job := range []string{"shop-web01", "shop"} {
		if _, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: job, DropPoints: true, Force: true}); !cdp.Is(err, cdp.Conflict) || len(o.asked) > 0 {
			t.Errorf("%s went with what its failover owes at the source: %v", job, err)
		}
	}
	o.run = nil
	if p, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: "shop-web01", DropPoints: true}); err != nil || !p.Done || o.asked[0].Group != "shop-web01" {
		t.Error(p, err, o.asked)
	}
	for range 2 { // none is no error
		if _, err := ask[api.Empty](o, api.VMGroupDelete, api.GroupRequest{Group: "shop-web01"}); err != nil || len(o.jobs.m) != 0 {
			t.Error(err)
		}
	}
	o.steps = []api.Progress{{Text: "removing"}, {Done: true}}
	cmdDelete := cmd(t, "d", event.JobDelete{Job: "shop", DropPoints: true, Replicas: true})
	if err := o.DeleteJob(t.Context(), cmdDelete); !cdp.Is(err, cdp.Transient) || len(o.vmJobs.m) != 1 {
		t.Error("it is to come again:", err)
	}
	if err := o.DeleteJob(t.Context(), cmdDelete); err != nil || len(o.vmJobs.m) != 0 || !o.asked[2].Replicas {
		t.Error(err, o.asked)
	}
}
