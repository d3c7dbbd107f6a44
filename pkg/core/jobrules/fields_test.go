package jobrules

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// when is when a field of a job that is stored may be changed.
type when string

const (
	live    when = "live"
	stopped when = "only while the job is stopped"
	never   when = "never"
	another when = "it names another job"
	ofVM    when = "with the job on VMs that the job was made for"
	noted   when = "never, for no document has it"
)

// disksFields are all fields of a job of disks.
var disksFields = map[string]when{
	"name": another, "id": noted, "of": ofVM, "reverses.site": never, "reverses.job": never, "reverses.run": never, "reverses.round": never, "reverses.oldDisks": never, "reverses.vm": never, "reverses.before": never,
	"source.site": never, "source.capture": stopped, "source.listen": live, "source.vm": ofVM,
	"source.disks.name": never, "source.disks.path": never, "source.disks.size": live /* it only grows */, "source.disks.key": ofVM, "source.disks.removedMillis": ofVM,
	"target.site": never, "target.disks.name": never, "target.disks.path": never, "target.vm": ofVM, "target.adopt": ofVM,
	"rpo": live, "failIfRpoExceeds": live, "failover.commitPolicy": live, "failover.commitWindow": live, "failover.scratch": live,
	"journal.mode": live, "journal.history": live, "journal.size": live, "journal.mergeEvery": live, "journal.lock": live,
}

// vmsFields are all fields of a job on VMs. What replicas that exist do not follow
// is a warning of the vcenter service.
var vmsFields = map[string]when{
	"name": another, "sourceSite": never, "targetSite": never,
	"reverses.site": never, "reverses.job": never, "reverses.run": never, "reverses.round": never, "reverses.oldDisks": never, "reverses.vm": never, "reverses.before": never,
	"source.vms.name": live, "source.vms.path": live, "source.vms.uuid": live, "source.vms.folder": live, "source.vms.tag": live, "source.vms.exclude": live,
	"source.capture": stopped, "source.excludeDisks.vm": live, "source.excludeDisks.disk": live,
	"source.filter": live, "source.policy": live, "source.quiesce": live,
	"target.host": live, "target.cluster": live, "target.datastore": live, "target.folder": live, "target.pool": live, "target.suffix": live,
	"target.disks.vm": live, "target.disks.disk": live, "target.disks.datastore": live,
	"target.networks.from": live, "target.networks.to": live, "target.networks.test": live,
	"target.reIP.vm": live, "target.reIP.nic": live, "target.reIP.ip": live, "target.reIP.from": live, "target.reIP.to": live, "target.reIP.gateway": live, "target.reIP.dns": live,
	"target.seeds.vm": live, "target.seeds.disk": live, "target.seeds.file": live, "target.keepMAC": live, "target.keepUUID": live, "target.guestLogin": live, "target.guestLogins.vm": live, "target.guestLogins.login": live,
	"checks.tools": live, "checks.ping": live, "checks.ports": live, "checks.script": live, "checks.timeoutNanos": live,
	"rpo": live, "failIfRpoExceeds": live, "failover.commitPolicy": live, "failover.commitWindow": live, "failover.scratch": live,
	"journal.mode": live, "journal.history": live, "journal.size": live, "journal.mergeEvery": live, "journal.lock": live,
}

// Each field of a job may be changed while it runs, only while it is stopped, or
// never; and a refusal names it.
func TestWhenEachFieldMayBeChanged(t *testing.T) {
	known(t, reflect.TypeFor[spec.ReplicationJob](), disksFields)
	for field, w := range disksFields {
		if w == noted {
			continue
		}
		old := disksJob(nil)
		if w == ofVM {
			old.Of = "shop"
		}
		changed := disksJob(func(j *spec.ReplicationJob) { j.Of = old.Of })
		change(reflect.ValueOf(&changed), field)
		proves(t, field, w, func(running bool) (api.Change, []api.Problem) {
			return here.Disks(changed, Stored{Job: &old, Running: running})
		})
	}
	known(t, reflect.TypeFor[spec.VMJob](), vmsFields)
	for field, w := range vmsFields {
		old, changed := vmsJob(nil), vmsJob(nil)
		change(reflect.ValueOf(&changed), field)
		proves(t, field, w, func(running bool) (api.Change, []api.Problem) {
			return here.VMs(changed, Stored{VMJob: &old, Running: running})
		})
	}
}

// known fails unless a table has exactly the fields of a type.
func known(t *testing.T, of reflect.Type, table map[string]when) {
	t.Helper()
	are := fields(of, "")
	for _, f := range are {
		if table[f] == "" {
			t.Errorf("%s: when may it be changed?", f)
		}
	}
	for f := range maps.Keys(table) {
		if !slices.Contains(are, f) {
			t.Errorf("%s is no field", f)
		}
	}
}

var index = regexp.MustCompile(`/[0-9]+`)

// proves applies a change to a running and to a stopped job.
func proves(t *testing.T, field string, w when, apply func(running bool) (api.Change, []api.Problem)) {
	t.Helper()
	for _, running := range []bool{true, false} {
		got, ps := apply(running)
		refused := w == never || w == ofVM || w == stopped && running
		if w != ofVM && got != api.Changed || (len(ps) > 0) != refused {
			t.Errorf("%s, running %v: %s, %q; it may be changed %s", field, running, got, rules(ps), w)
			continue
		}
		if refused && w != ofVM {
			named := strings.ReplaceAll(strings.TrimPrefix(index.ReplaceAllString(ps[0].Path, ""), "/spec/"), "/", ".")
			if named != strings.Replace(field, "Site", ".site", 1) && ps[0].Path != "/spec" {
				t.Errorf("%s: the refusal names %s", field, ps[0].Path)
			}
		}
	}
}

// fields are the fields that a type has in JSON, with those of what it consists of.
func fields(t reflect.Type, at string) (out []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return []string{at}
	}
	for i := range t.NumField() {
		out = append(out, fields(t.Field(i).Type, joined(at, t.Field(i)))...)
	}
	return out
}

// joined is the name of a field of what is at some name.
func joined(at string, f reflect.StructField) string {
	tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return strings.Trim(at+"."+tag, ".")
}

// change gives the field of a job another value.
func change(v reflect.Value, field string) { changeAt(v, field, "") }

func changeAt(v reflect.Value, field, at string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		changeAt(v.Elem(), field, at)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		} else { // what is stored must not change with it
			v.Set(reflect.AppendSlice(reflect.Zero(v.Type()), v))
		}
		changeAt(v.Index(0), field, at)
	case reflect.Struct:
		for i := range v.NumField() {
			if sub := joined(at, v.Type().Field(i)); sub == field || sub == at || strings.HasPrefix(field, sub+".") {
				changeAt(v.Field(i), field, sub)
			}
		}
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	default:
		v.SetInt(v.Int() + 1)
	}
}
