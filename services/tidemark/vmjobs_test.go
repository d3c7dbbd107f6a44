package main

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/health"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

const shopJob = `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: shop}
spec:
  source:
    site: prod
    capture: cbt
    vms: [{name: web01}, {tag: tier/gold}]
  target:
    site: dr
    cluster: Cluster-1
    datastore: ds1
    networks: [{from: VM Network, to: DR}]
  rpo: 1m
`

func vmMember(group, vm string, state inventory.MemberState, ps ...inventory.Problem) api.VMMember {
	return api.VMMember{Group: cdp.GroupID(group), VM: vm, State: state, Replica: vm + "-replica", Problems: ps}
}

// TestApplyVMs: the target's vcenter service checks a job on VMs before it is stored,
// and all that it finds is printed.
func TestApplyVMs(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	if _, errs := d.apply(exitUnreachable, shopJob); !strings.Contains(errs, "vcenter is not running at site dr") {
		t.Error(errs)
	}
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VMJobCheck: says(api.JobCheckReply{Problems: []inventory.Problem{
			{VM: "web01", Path: "/spec/target/networks", Rule: "unmapped", Text: `Network adapter 2 is on the network "Backup", which is not mapped`},
			{Path: "/spec/target/datastore", Rule: "space", Text: "ds1 has 10 GiB free, 40 GiB are needed"},
		}}),
		api.VMJobStatus: says(api.VMJobsReply{}),
	})
	for _, more := range [][]string{nil, {"--dry-run"}} {
		_, errs := d.apply(exitUsage, shopJob, more...)
		wants(t, errs, "2 problems, nothing was changed", `web01: /spec/target/networks: Network adapter 2 is on the network "Backup"`, "/spec/target/datastore: ds1 has 10 GiB free")
	}
	d.do(exitNotFound, "get", "job", "shop")
	if asked := f.saw(); !strings.Contains(asked, `job-check {"job":{"name":"shop"`) || !strings.Contains(asked, `"sourceSite":"prod"`) {
		t.Error(asked)
	}
	// The same at either site: what does not answer is worth another try.
	f.set(api.VMJobCheck, says(api.JobCheckReply{Problems: []inventory.Problem{{Path: "/spec/source/site", Rule: inventory.RuleUnreachable, Text: "cannot reach the vCenter vc.prod"}}}))
	_, errs := d.apply(exitUnreachable, shopJob)
	wants(t, errs, "1 problem, nothing was changed", "cannot reach the vCenter vc.prod")
	f.set(api.VMJobCheck, fails(cdp.Errorf(cdp.Transient, "read the inventory", "vc.dr", "cannot reach the vCenter")))
	_, errs = d.apply(exitUnreachable, shopJob)
	wants(t, errs, "vc.dr", "cannot reach the vCenter")
	f.set(api.VMJobCheck, says(api.JobCheckReply{VMs: []string{"web01", "db01"}}))
	out, _ := d.apply(0, shopJob, "--dry-run")
	wants(t, out, "replicationjob shop created (2 VMs) (dry run)")
	d.do(exitNotFound, "get", "job", "shop")
	out, _ = d.apply(0, shopJob)
	wants(t, out, "created (2 VMs); start it with: tidemark job run shop")
	out, _ = d.apply(0, shopJob)
	wants(t, out, "unchanged")
	out, _ = d.do(0, "get", "job", "shop", "-o", "yaml")
	wants(t, out, "cluster: Cluster-1", "suffix: -replica")
	if again, _ := d.apply(0, out); !strings.Contains(again, "unchanged") {
		t.Error("what get gives is another job:", again)
	}
	// Warnings are printed, too.
	f.set(api.VMJobCheck, says(api.JobCheckReply{VMs: []string{"web01"}, Warnings: []inventory.Problem{{VM: "db01", Path: "/spec/source/vms", Rule: "vtpm", Text: "it has a virtual TPM", Warning: true}}}))
	for _, more := range [][]string{{"--dry-run"}, nil} {
		out, errs = d.apply(0, strings.Replace(shopJob, "rpo: 1m", "rpo: 2m", 1), more...)
		wants(t, out, "changed (1 VM)")
		wants(t, errs, "warning: shop: db01: /spec/source/vms: it has a virtual TPM")
	}
	// Which VMs join and leave, before it is done and when it is.
	f.set(api.VMJobCheck, says(api.JobCheckReply{VMs: []string{"web03"}, Joins: []string{"web03"}, Leaves: []string{"db01", "web01"}}))
	for _, more := range [][]string{{"--dry-run"}, nil} {
		out, _ = d.apply(0, strings.Replace(shopJob, "name: web01", "name: web03", 1), more...)
		wants(t, out, "changed (1 VM)", "joins: web03", "leaves: db01, web01;", "stays: journal and replica")
	}
	out, _ = d.apply(0, strings.Replace(shopJob, "name: web01", "name: web03", 1))
	lacks(t, out, "joins", "leaves")
	// Other reasons to refuse it.
	_, errs = d.apply(exitConflict, strings.Replace(shopJob, "site: prod", "site: dr", 1))
	wants(t, errs, "sites of a job on VMs cannot be changed")
	_, errs = d.apply(exitUsage, strings.NewReplacer("site: prod", "site: moon", "name: shop", "name: x").Replace(shopJob))
	wants(t, errs, `"moon"`, "prod and dr")
	_, errs = d.apply(exitConflict, strings.Replace(goodJob("/a", "/b"), "name: web", "name: shop", 1))
	wants(t, errs, "the name of a job on VMs")
	d.apply(0, goodJob("/a", "/b"))
	_, errs = d.apply(exitConflict, strings.Replace(shopJob, "name: shop", "name: web", 1))
	wants(t, errs, "the name of a job of disks")
	d.put("shop", "shop-web01")
	for _, text := range []string{strings.Replace(goodJob("/a", "/b"), "name: web", "name: shop-web01", 1), strings.Replace(shopJob, "name: shop", "name: shop-web01", 1)} {
		_, errs = d.apply(exitConflict, text)
		wants(t, errs, "made for a VM of the job shop")
	}
	out, _ = d.do(0, "get", "job", "shop-web01", "-o", "yaml")
	_, errs = d.apply(exitUsage, out)
	wants(t, errs, "/spec/of: the job was derived for a VM of the job shop")
}

// TestVMJobLife: run, status, stop and delete of a job on VMs.
func TestVMJobLife(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	running := false
	state := func(members ...api.VMMember) func([]byte) (any, error) {
		return func([]byte) (any, error) {
			return api.VMJobsReply{Jobs: []api.VMJobState{{Job: "shop", Running: running, Members: members}}}, nil
		}
	}
	both := state(vmMember("shop-web01", "web01", "ready"),
		vmMember("shop-db01", "db01", "refused", inventory.Problem{VM: "db01", Rule: "rdm", Text: "Hard disk 2 is a physical RDM"}))
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VMJobCheck:  says(api.JobCheckReply{VMs: []string{"web01", "db01"}}),
		api.VMJobStatus: both,
		api.VMJobRun:    func([]byte) (any, error) { running = true; return api.Empty{}, nil },
		api.VMJobStop:   func([]byte) (any, error) { running = false; return api.Empty{}, nil },
		api.VMJobDelete: working(api.Progress{Text: "removing web01-replica", Moved: 1, Total: 2}, api.Progress{Done: true}),
	})
	running = false
	d.apply(0, shopJob)
	d.put("shop", "shop-web01")
	out, _ := d.do(0, "job", "run", "shop")
	wants(t, out, "shop is running")
	wants(t, f.saw(), `job-run {"job":"shop"}`)
	out, _ = d.do(0, "get", "job")
	wants(t, out, "2 VMs, running", "1 disk, a VM of shop")
	out, _ = d.do(0, "get", "job", "-o", "yaml")
	wants(t, out, "of: shop", "vms:")

	out, _ = d.do(0, "job", "status", "shop")
	wants(t, out, "web01", "shop-web01", "web01-replica", "refused", "db01: Hard disk 2 is a physical RDM", "capture      cbt", "prod -> dr")
	lacks(t, out, "protected")
	got := decode[health.Job](t, outOf(d.do(0, "status", "shop", "-o", "json")))
	if len(got.VMs) != 2 || got.VMs[0].Group != "shop-web01" || got.VMs[1].Member != "refused" {
		t.Errorf("%+v", got)
	}
	out, _ = d.do(0, "status")
	wants(t, out, "prod -> dr: all jobs", "shop ", "2 VMs", "  shop-web01", "shop: db01: Hard disk 2 is a physical RDM")
	all := decode[[]health.Job](t, outOf(d.do(0, "status", "-o", "json")))
	if len(all) != 2 || all[0].Job != "shop" || all[1].Of != "shop" {
		t.Errorf("%+v", all)
	}
	out, _ = d.do(0, "job", "status", "shop-web01")
	wants(t, out, "a VM of", "tidemark job status shop")

	// The service is silent: what is known without it is shown.
	f.set(api.VMJobStatus, fails(cdp.Errorf(cdp.Transient, "ask vCenter", "dr", "no route to host")))
	out, _ = d.do(0, "job", "status", "shop")
	wants(t, out, "shop-web01", "no route to host")
	out, _ = d.do(0, "get", "job")
	wants(t, out, "1 VM ")
	f.set(api.VMJobStatus, both)

	// Its one VM is meant where a group is wanted; of two, one must be named.
	d.apply(0, "apiVersion: tidemark.dev/v1\nkind: Site\nmetadata: {name: prod}\nspec: {kind: block}\n")
	_, errs := d.do(exitConflict, "delete", "site", "prod")
	wants(t, errs, "the job shop, by the replica shop-web01-replica, uses it")
	_, errs = d.do(exitConflict, "point", "create", "shop")
	wants(t, errs, "job run shop-web01")
	d.put("shop", "shop-db01")
	_, errs = d.do(exitUsage, "point", "list", "shop")
	wants(t, errs, "a job on 2 VMs: shop-db01, shop-web01")

	_, errs = d.do(exitConflict, "delete", "job", "shop-db01", "--yes")
	wants(t, errs, "made for a VM of the job shop")
	_, errs = d.do(exitConflict, "delete", "job", "shop", "--yes")
	wants(t, errs, "job stop shop")
	_, errs = d.apply(exitConflict, strings.Replace(shopJob, "capture: cbt", "capture: tap", 1))
	wants(t, errs, "/spec/source/capture: capture cannot be changed while the job runs", "job stop shop")
	d.do(0, "job", "stop", "shop")
	_, errs = d.do(exitConflict, "delete", "job", "shop") // whether it has points is not known
	wants(t, errs, "count recovery points")
	_, errs = d.do(exitUsage, "delete", "job", "shop", "--yes", "--replica")
	wants(t, errs, "replica")
	f.saw()
	out, errs = d.do(0, "delete", "job", "shop", "--yes", "--replicas")
	wants(t, out, "shop deleted")
	wants(t, errs, "removing web01-replica", "50%")
	wants(t, f.saw(), `job-delete {"job":"shop","replicas":true}`)
	d.do(exitNotFound, "get", "job", "shop")
}

func outOf(out, _ string) string { return out }

// TestVMJobOfNoVM: the words of a job that means none yet.
func TestVMJobOfNoVM(t *testing.T) {
	d := newDesk(t)
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VMJobCheck:  says(api.JobCheckReply{}),
		api.VMJobStatus: says(api.VMJobsReply{Jobs: []api.VMJobState{{Job: "shop", Running: true}}}),
	})
	d.apply(0, shopJob)
	_, errs := d.do(exitNotFound, "point", "list", "shop")
	wants(t, errs, "has no VM yet", "job status shop")
	out, _ := d.do(0, "job", "status", "shop")
	wants(t, out, "selects no VM now")
}

// TestAVMThatLeftItsJob: it is shown as gone, with the command that releases it.
func TestAVMThatLeftItsJob(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	member := vmMember("shop-web01", "web01", "ready")
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VMJobCheck: says(api.JobCheckReply{VMs: []string{"web01"}}),
		api.VMJobStatus: func([]byte) (any, error) {
			return api.VMJobsReply{Jobs: []api.VMJobState{{Job: "shop", Running: true, Members: []api.VMMember{member}}}}, nil
		},
		api.VMJobDelete: working(api.Progress{Text: "removing web01-replica", Moved: 1, Total: 2}, api.Progress{Done: true}),
	})
	d.apply(0, shopJob)
	d.put("shop", "shop-web01")
	_, errs := d.do(exitConflict, "delete", "job", "shop-web01", "--yes")
	wants(t, errs, "made for a VM of the job shop", "source.vms")
	member.State, member.Trouble = "gone", "the job does not mean it any more"
	for _, args := range [][]string{{"status"}, {"status", "shop-web01"}, {"job", "status", "shop"}} {
		out, _ := d.do(0, args...)
		wants(t, out, "gone", "does not mean it any more", "tidemark delete job shop-web01 --yes")
		lacks(t, out, "job run shop-web01")
	}
	f.saw()
	_, errs = d.do(exitConflict, "delete", "job", "shop-web01") // whether it has points is not known
	wants(t, errs, "count recovery points")
	lacks(t, f.saw(), api.VMJobDelete)
	out, errs := d.do(0, "delete", "job", "shop-web01", "--yes", "--replicas")
	wants(t, out, "shop-web01 deleted")
	wants(t, errs, "removing web01-replica")
	wants(t, f.saw(), `job-delete {"job":"shop","replicas":true,"group":"shop-web01"}`)
}
