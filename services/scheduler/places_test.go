package scheduler_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// Sources implements scheduler.Disks: at every path that the test does not describe
// is a good disk of 1 MiB.
func (o *owner) Sources(_ context.Context, site cdp.Site, r api.DisksRequest) (api.DisksReply, error) {
	return o.look(r, api.DiskFacts{Kind: api.PathFile, Size: 1 << 20}), o.dead[site]
}

// Replicas implements scheduler.Disks: nothing is where the test describes nothing.
func (o *owner) Replicas(_ context.Context, r api.DisksRequest) (api.DisksReply, error) {
	return o.look(r, api.DiskFacts{Kind: api.PathMissing}), o.dead["dr"]
}

func (o *owner) look(r api.DisksRequest, good api.DiskFacts) (out api.DisksReply) {
	for _, p := range slices.Concat(r.Paths, r.Known, r.Listen) {
		o.looked.Add(1)
		f, ok := o.disks[p]
		if !ok {
			f = good
			f.ID = p
		}
		f.Path = p
		out.Disks = append(out.Disks, f)
	}
	return out
}

// The disks of a job are compared with those of all other jobs, by what they are and
// not by their names; of two jobs that are applied at once one gets the disk.
func TestOneDiskIsOneJobs(t *testing.T) {
	o := newOwner(t)
	o.disks = map[string]api.DiskFacts{"/link-to-b": {Kind: api.PathFile, ID: "/b"}}
	o.apply(disksDoc, false)
	other := strings.NewReplacer(`"web"`, `"shop"`, `"/a"`, `"/c"`, `"/b"`, `"/link-to-b"`).Replace(disksDoc)
	for _, dry := range []bool{true, false} {
		r := o.apply(other, dry)
		if len(r.Problems) != 1 || r.Problems[0].Path != "/spec/target/disks/0/path" || r.Problems[0].Kind != cdp.Conflict || !strings.Contains(r.Problems[0].Text, "job web, which calls it /b") {
			t.Fatalf("%+v", r)
		}
	}
	if _, stored := o.jobs.m["shop"]; stored {
		t.Error("it was written")
	}
	// Both were found good before either was written.
	var wg sync.WaitGroup
	var replies [4]api.ApplyReply
	for i, name := range []string{"n1", "n2", "n3", "n4"} {
		wg.Go(func() {
			doc := strings.NewReplacer(`"web"`, `"`+name+`"`, `"/a"`, `"/n"`, `"/b"`, `"/`+name+`"`).Replace(disksDoc)
			replies[i], _ = ask[api.ApplyReply](o, api.JobApply, api.ApplyRequest{Document: json.RawMessage(doc)})
		})
	}
	wg.Wait()
	var written int
	for _, r := range replies {
		if r.Change == api.Created {
			written++
		}
	}
	if written != 1 {
		t.Errorf("%d jobs have one source: %+v", written, replies)
	}
}

// While a site does not answer no job with new disks there is taken, and a change
// that leaves the disks alone is.
func TestDisksThatNobodyLooksAtAreRefused(t *testing.T) {
	o := newOwner(t)
	o.apply(disksDoc, false)
	for site, field := range map[cdp.Site]string{"prod": "/spec/source/site", "dr": "/spec/target/site"} {
		o.dead = map[cdp.Site]error{site: cdp.Errorf(cdp.Transient, "ask", "", "nobody answers")}
		r := o.apply(strings.NewReplacer(`"web"`, `"shop"`, `"/a"`, `"/c"`, `"/b"`, `"/d"`).Replace(disksDoc), false)
		if len(r.Problems) != 1 || r.Problems[0].Path != field || !cdp.Is(r.Err(), cdp.Transient) {
			t.Errorf("%s: %+v", site, r)
		}
		if r := o.apply(strings.Replace(disksDoc, `"rpo":"5s"`, `"rpo":"7s"`, 1), true); r.Change != api.Changed {
			t.Errorf("%s: %+v", site, r)
		}
	}
}

// The replicas of a VM are compared with the disks of all other jobs, too.
func TestAReplicaOfAVMIsOneJobs(t *testing.T) {
	o := newOwner(t)
	o.disks = map[string]api.DiskFacts{"/dev/b": {Kind: api.PathDevice, ID: "/b"}}
	o.apply(disksDoc, false)
	vm := func(name string, paths ...string) error {
		j := spec.ReplicationJob{Name: name, Of: "shop", RPO: spec.Duration(spec.DefaultRPO), Source: spec.Source{Site: "prod"}, Target: spec.Target{Site: "dr"}}
		for i, p := range paths {
			name := "d" + strconv.Itoa(i)
			j.Source.Disks = append(j.Source.Disks, spec.SourceDisk{Name: name, Size: 1 << 20, Key: int32(2000 + i)})
			j.Target.Disks = append(j.Target.Disks, spec.TargetDisk{Name: name, Path: p})
		}
		_, err := ask[api.Empty](o, api.VMGroupApply, api.VMGroupApplyRequest{Job: j})
		return err
	}
	for range 2 { // its own are no reason the second time
		if err := vm("shop-a", "/dev/x", "/dev/y"); err != nil {
			t.Fatal(err)
		}
	}
	for name, paths := range map[string][]string{"a job's": {"/dev/z", "/dev/b"}, "another VM's": {"/dev/x"}, "twice its own": {"/dev/z", "/dev/z"}} {
		if err := vm("shop-b", paths...); !cdp.Is(err, cdp.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, stored := o.jobs.m["shop-b"]; stored {
		t.Error("it was written")
	}
}
