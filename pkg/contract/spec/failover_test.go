package spec

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// A job of disks and a job on VMs say how their failovers end; the window has a default,
// and what is written reads back the same.
func TestHowFailoversEnd(t *testing.T) {
	for text, want := range map[string]Failover{
		"":                                       {},
		"{}":                                     {},
		"{commitPolicy: none}":                   {},
		"{commitPolicy: commit}":                 {CommitPolicy: recovery.PolicyCommit, CommitWindow: Duration(time.Hour)},
		"{scratch: 20GiB}":                       {Scratch: 20 << 30},
		"{commitPolicy: undo, commitWindow: 1d}": {CommitPolicy: recovery.PolicyUndo, CommitWindow: Duration(24 * time.Hour)},
	} {
		for _, doc := range []string{good, goodVMs} {
			if text != "" {
				doc += "  failover: " + text + "\n"
			}
			objects, err := Parse("f", []byte(doc))
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			out, err := Encode(objects[1])
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("f", out)
			if err != nil {
				t.Fatalf("%s\n%v", out, err)
			}
			for _, o := range []Object{objects[1], again[0]} {
				var got Failover
				if o.Job != nil {
					got = o.Job.Failover
				} else {
					got = o.VMJob.Failover
				}
				if got != want {
					t.Errorf("%q: %+v, want %+v", text, got, want)
				}
			}
		}
	}
	for text, want := range map[string]string{
		"{commitPolicy: later}":                  "must be one of none, commit, undo",
		"{commitWindow: 1h}":                     "needs the commitPolicy commit or undo",
		"{commitPolicy: none, commitWindow: 1h}": "needs the commitPolicy commit or undo",
		"{commitPolicy: undo, commitWindow: 4m}": "must be from 5m to 1d",
		"{commitPolicy: undo, commitWindow: x}":  "/spec/failover/commitWindow",
		"{scratch: 4096}":                        "must be at least 1MiB",
		"{policy: undo}":                         "no field policy",
	} {
		if _, err := Parse("f", []byte(good+"  failover: "+text+"\n")); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
