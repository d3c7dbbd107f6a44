package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

const examples = "../../deploy/examples/"

func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The job of disks in deploy/examples is protected, and can be failed over, once
// its disks exist. The tap job waits for its tap. Only their folders are replaced.
func TestExampleJobsOfDisks(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	here := func(name string) string {
		return strings.NewReplacer("/vm/shop/", dir+"/vm-", "/replica/shop/", dir+"/replica-", "/replica/web/", dir+"/web-", "20GiB", "4MiB").Replace(example(t, name))
	}
	for _, d := range []string{"root", "data"} {
		f := write(t, filepath.Join(dir, "vm-"+d+".img"), "the first sector")
		if err := os.Truncate(f, 4<<20); err != nil {
			t.Fatal(err)
		}
	}
	l.do(0, "apply", "-f", write(t, filepath.Join(dir, "job-disks.yaml"), here("job-disks.yaml")))
	l.do(0, "apply", "-f", write(t, filepath.Join(dir, "job-tap.yaml"), here("job-tap.yaml")))
	l.do(0, "job", "run", "shop")
	l.do(0, "job", "run", "web")
	l.until("protected", "status", "shop")
	l.do(0, "failover", "shop", "--mode", "test")
	l.do(0, "failover", "cleanup", "shop")
	if out, _ := l.do(0, "status"); !strings.Contains(out, "web") {
		t.Error(out)
	}
}

// The vSphere examples are applied as they are; a stand-in for the vcenter service
// finds nothing wrong with the job.
func TestExampleVMs(t *testing.T) {
	d := newDesk(t)
	d.apply(0, example(t, "sites-vsphere.yaml"))
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VMJobCheck:  says(api.JobCheckReply{VMs: []string{"web01"}}),
		api.VMJobStatus: says(api.VMJobsReply{}),
	})
	out, _ := d.apply(0, example(t, "job-vms.yaml"))
	wants(t, out, "replicationjob shop created (1 VM)")
	wants(t, f.saw(), `"tag":"tier/gold"`, `"ports":[443]`)
	out, _ = d.do(0, "get", "job", "shop", "-o", "yaml")
	wants(t, out, "cluster: Cluster-2", "excludeDisks")
}

// The plan in deploy/examples is applied as it is; its jobs are not there yet.
func TestExamplePlan(t *testing.T) {
	d := newDesk(t)
	d.orchestrator()
	out, errs := d.apply(0, example(t, "plan.yaml"))
	wants(t, out, "siterecoveryjob shop-dr created; test it with: tidemark plan test shop-dr")
	wants(t, errs, "there is no job shop-db at site dr")
	out, _ = d.do(0, "get", "plan", "shop-dr", "-o", "yaml")
	wants(t, out, "group: app", "youngerThan: 5m")
	d.do(0, "delete", "plan", "shop-dr")
}

// Every example is used by a test, so that none goes stale.
func TestEveryExampleIsTested(t *testing.T) {
	files, err := filepath.Glob(examples + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		switch n := filepath.Base(f); n {
		case "job-disks.yaml", "job-tap.yaml", "job-vms.yaml", "sites-vsphere.yaml", "plan.yaml":
		default:
			if !strings.HasPrefix(n, "up-") { // services/node loads these
				t.Errorf("no test applies %s", f)
			}
		}
	}
}
