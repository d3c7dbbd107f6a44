package bus_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
)

// may lists, per service, what of the candidates below it is allowed; all else
// must be refused by the server.
func may(service, subject string) bool {
	emits := map[string]string{
		subjects.Capture: "capture", subjects.Journal: "journal", subjects.Scheduler: "job", subjects.RPOMonitor: "rpo", subjects.Failover: "failover",
		subjects.VCenter: "vcenter", subjects.Orchestrator: "plan",
	}
	commands := map[string][]string{ // by verb; a person may give any
		subjects.VCenter:      {"scheduler.job-run", "scheduler.job-stop"},
		subjects.Orchestrator: {"scheduler.job-run", "failover.start"},
	}
	writes := map[string]string{
		subjects.Capture: "capture", subjects.Journal: "journal", subjects.Scheduler: "job", subjects.RPOMonitor: "rpo", subjects.Failover: "failover",
		subjects.VCenter: "vcenter", subjects.Orchestrator: "orchestrator",
	}
	specs := map[string]string{"job": subjects.Scheduler, "vmjob": subjects.Scheduler, "site": subjects.VCenter, "plan": subjects.Orchestrator}
	people := service == subjects.Operator
	mayCommand := func(to, verb string) bool {
		return people || slices.Contains(commands[service], to+"."+verb)
	}
	handles := !people && service != subjects.RPOMonitor && service != subjects.Witness
	p := strings.Split(subject, ".")
	switch {
	case strings.HasPrefix(subject, "$JS.prod.API."):
		return false // no JetStream is asked but the own
	case strings.HasPrefix(subject, "link.prod.js.CONSUMER."), strings.Contains(subject, "CONSUMER.RESET.WRITE_vm1.frames_dr"):
		return service == subjects.Journal && strings.HasSuffix(subject, ".WRITE_vm1.frames_dr")
	case strings.HasPrefix(subject, "link."):
		return false
	case strings.HasPrefix(subject, "tidemark.cmd.v1.prod."): // what crosses the link
		return mayCommand(p[4], p[5]) && (p[4] == "capture" && p[5] == "mark" || p[4] == "scheduler" && p[5] == "job-run")
	case strings.HasPrefix(subject, "tidemark.evt.v1.dr.command."):
		return handles
	case strings.HasPrefix(subject, "tidemark.evt.v1.dr."):
		return emits[service] == p[4] || service == subjects.VCenter && p[4] == "site"
	case strings.HasPrefix(subject, "tidemark.cmd.v1."):
		return mayCommand(p[4], p[5])
	case strings.HasPrefix(subject, "tidemark.dlq.v1.dr."):
		return handles && p[4] == service
	case strings.HasPrefix(subject, "tidemark.audit.v1.dr."):
		return handles && p[4] == service
	case strings.HasPrefix(subject, "tidemark.write.v1.dr."):
		return service == subjects.Capture
	case strings.HasPrefix(subject, "tidemark.ack.v1."):
		return service == subjects.Journal && p[4] == "dr"
	case strings.HasPrefix(subject, "$KV.tidemark-state."):
		return writes[service] == p[2]
	case strings.HasPrefix(subject, "$KV.tidemark-spec."):
		return specs[p[2]] == service // one writer
	case strings.HasPrefix(subject, "$KV.tidemark-epoch.group."):
		return service == subjects.Capture
	case strings.HasSuffix(subject, "STREAM.LIST"):
		return service == subjects.Capture || people
	case strings.Contains(subject, "MSG.NEXT.CMD."):
		return handles && p[len(p)-1] == service
	case strings.HasSuffix(subject, ".API.STREAM.MSG.DELETE.DLQ"):
		return people
	case strings.Contains(subject, ".API.STREAM.MSG.GET."): // what may be scanned; not what is somebody's to take
		stream := p[len(p)-1]
		return people && stream != subjects.StreamCommands && stream != "KV_"+subjects.BucketEpoch
	case strings.Contains(subject, "DLQ"):
		return service == subjects.Operator && strings.Contains(subject, "DIRECT.GET.")
	}
	return false
}

func candidates() (out []string) {
	all := []string{"capture", "journal", "scheduler", "rpo-monitor", "failover", "orchestrator", "vcenter"}
	for _, area := range []string{"capture", "journal", "job", "rpo", "failover", "orchestrator", "plan", "vcenter", "site", "command"} {
		out = append(out, "tidemark.evt.v1.dr."+area+".refused.vm1", "tidemark.evt.v1.prod."+area+".refused.vm1")
	}
	for _, s := range all {
		out = append(out, "tidemark.cmd.v1.dr."+s+".x.vm1", "tidemark.cmd.v1.dr."+s+".mark.vm1", "tidemark.cmd.v1.dr."+s+".job-run.vm1", "tidemark.cmd.v1.dr."+s+".start.vm1", "tidemark.cmd.v1.dr."+s+".job-delete.vm1", "tidemark.cmd.v1.prod."+s+".x.vm1", "tidemark.cmd.v1.prod."+s+".mark.vm1", "tidemark.cmd.v1.prod."+s+".job-run.vm1", "tidemark.dlq.v1.dr."+s+".x.vm1", "tidemark.audit.v1.dr."+s+".x", "tidemark.audit.v1.prod."+s+".x",
			"$JS.API.CONSUMER.MSG.NEXT.CMD."+s, "$JS.dr.API.CONSUMER.MSG.NEXT.CMD."+s)
		if s != "rpo-monitor" {
			out = append(out, "$JS.prod.API.CONSUMER.MSG.NEXT.CMD."+s)
		}
	}
	for _, k := range []string{"job", "capture", "journal", "rpo", "failover", "orchestrator", "vcenter"} {
		out = append(out, "$KV.tidemark-state."+k+".vm1")
	}
	for _, stream := range []string{"CMD", "EVT", "DLQ", "AUDIT", "EVT_prod", "KV_tidemark-spec", "KV_tidemark-state", "KV_tidemark-epoch", "KV_tidemark-spec-prod"} {
		for _, verb := range []string{"CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "MSG.GET", "SNAPSHOT"} {
			out = append(out, "$JS.API.STREAM."+verb+"."+stream, "$JS.dr.API.STREAM."+verb+"."+stream)
		}
	}
	return append(out,
		"tidemark.write.v1.dr.vm1", "tidemark.write.v1.prod.vm1", "tidemark.ack.v1.dr.dr.vm1", "tidemark.ack.v1.prod.dr.vm1", "tidemark.ack.v1.prod.prod.vm1",
		"link.prod.js.CONSUMER.RESET.WRITE_vm1.frames_dr", "link.prod.js.CONSUMER.MSG.NEXT.WRITE_vm1.frames_dr", "$JS.API.CONSUMER.RESET.WRITE_vm1.frames_dr",
		"link.prod.js.CONSUMER.RESET.WRITE_vm1.frames_x", "link.prod.js.CONSUMER.RESET.EVT.copy_prod_dr", "link.prod.js.STREAM.INFO.EVT", "link.dr.copy.prod.EVT", "link.prod.copy.dr.EVT",
		"$KV.tidemark-spec.job.vm1", "$KV.tidemark-spec.vmjob.vm1", "$KV.tidemark-spec.site.vm1", "$KV.tidemark-spec.plan.vm1", "$KV.tidemark-epoch.group.vm1", "$KV.tidemark-state.lease.other",
		"$JS.API.STREAM.DELETE.WRITE_vm1", "$JS.API.STREAM.CREATE.WRITE_vm1", "$JS.API.STREAM.PURGE.WRITE_vm1", "$JS.API.STREAM.LIST",
		"$JS.prod.API.STREAM.PURGE.CMD", "$JS.prod.API.STREAM.PURGE.WRITE_vm1", "$JS.prod.API.STREAM.DELETE.WRITE_vm1",
		"$JS.API.CONSUMER.CREATE.EVT.x.tidemark.evt.v1.dr.job.x.vm1", "$JS.API.CONSUMER.MSG.NEXT.EVT.x",
		"$JS.API.CONSUMER.CREATE.EVT.x", "$JS.API.CONSUMER.CREATE.WRITE_vm1.x", "$JS.API.CONSUMER.CREATE.CMD.other",
		"$JS.API.CONSUMER.CREATE.DLQ.x.tidemark.dlq.v1.dr.>", "$JS.API.DIRECT.GET.DLQ.tidemark.dlq.v1.dr.x.y.z",
		"$JS.API.DIRECT.GET.KV_tidemark-epoch", "$JS.API.ACCOUNT.PURGE.x", "$SYS.REQ.SERVER.PING", "_INBOX_other.x", "anything")
}

func TestPermissions(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	for _, service := range subjects.Services() {
		if service == subjects.Setup {
			continue
		}
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			u := s.Credential("dr", service)
			refused := make(chan string, 16)
			nc, err := nats.Connect(s.DR.ClientURL(), nats.UserInfo(u.User, u.Password), nats.CustomInboxPrefix("_INBOX_"+service),
				nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err.Error() }))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			try := func(what, subject string, allowed bool, do func() error) {
				t.Helper()
				if err := do(); err != nil {
					t.Fatal(err)
				}
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
				wait := time.Minute
				if allowed {
					wait = 5 * time.Millisecond // the answer came before the flush's
				}
				select {
				case e := <-refused:
					if allowed || !strings.Contains(strings.ToLower(e), "permissions violation") {
						t.Errorf("%s %s: %s", what, subject, e)
					}
				case <-time.After(wait):
					if !allowed {
						t.Errorf("%s %s: not refused", what, subject)
					}
				}
			}
			for _, c := range candidates() {
				try("publish", c, may(service, c), func() error { return nc.Publish(c, nil) })
			}
			for _, c := range []string{">", "tidemark.>", "tidemark.write.v1.dr.vm1", "tidemark.cmd.v1.dr.failover.>", "tidemark.evt.v1.dr.>", "$KV.>", "$JS.>", "link.>", "link.prod.copy.dr.>", "_INBOX_other.>", "_INBOX.>", "tidemark.api.v1.dr.other.x"} {
				try("subscribe", c, service == subjects.Operator && c == "tidemark.evt.v1.dr.>", func() error { _, err := nc.SubscribeSync(c); return err })
			}
			try("subscribe", "its ack", service == subjects.Capture, func() error { _, err := nc.SubscribeSync("tidemark.ack.v1.dr.*.*"); return err })
			try("subscribe", "its inbox", true, func() error { _, err := nc.SubscribeSync(nc.NewInbox()); return err })
		})
	}
}

func TestCredentialsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	if _, err := bus.LoadCredentials(path); !cdp.Is(err, cdp.NotFound) {
		t.Fatal(err)
	}
	c := bus.NewCredentials("prod")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	d, err := bus.LoadCredentials(path)
	if err != nil || d.Users[subjects.Capture] != c.Users[subjects.Capture] {
		t.Fatal(d, err)
	}
	// Files of before links had keys of their own hold a user for the leaf.
	old := []byte(`{"site": "prod", "leaf": {"user": "leaf", "password": "x"}, "users": {"capture": {"user": "capture", "password": "y"}}}`)
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := bus.LoadCredentials(path); err != nil || d.Users[subjects.Capture].Password != "y" {
		t.Fatal(d, err)
	}
	// Files of an older version have no user for a service that is new.
	if d, err = bus.LoadCredentials(path); err != nil || !d.Complete() || d.Complete() || d.Users[subjects.Orchestrator].Password == "" || d.Users["capture"].Password != "y" {
		t.Error(d, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.LoadCredentials(path); !cdp.Is(err, cdp.Invalid) || cdp.HintOf(err) == "" {
		t.Fatal(err)
	}
}

func TestWrongPassword(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	for _, u := range []bus.Credential{{}, {User: "capture", Password: "x"}} {
		ctx := t.Context()
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err := bus.Connect(short, bus.Config{Site: "dr", Name: "capture", URL: s.DR.ClientURL(), Credential: u})
		cancel()
		if err == nil || cdp.HintOf(err) == "" {
			t.Fatal(err)
		}
	}
}
