package stage

import (
	"os"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/spec"
)

func TestJobFile(t *testing.T) {
	s, err := New(Config{Dir: t.TempDir(), Tidemark: "/bin/false", Lab: "/bin/false", Job: "shop7"})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		p    Protection
		rpo  time.Duration
		with string
	}{{Protection{Capture: "tap"}, 5 * time.Second, Filter}, {Protection{Capture: "cbt", RPO: 15 * time.Second}, 15 * time.Second, ""}} {
		file, err := s.WriteJob(x.p)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := spec.Parse(file, text)
		if err != nil || len(got) != 1 || got[0].VMJob == nil {
			t.Fatalf("%+v, %v", got, err)
		}
		j := got[0].VMJob
		if j.Name != "shop7" || j.Source.Capture != x.p.Capture || j.Source.Filter != x.with || time.Duration(j.RPO) != x.rpo || !j.Checks.Tools || len(j.Source.VMs) != 1 {
			t.Errorf("%+v", *j)
		}
	}
	if s.Group() != "shop7-db01" {
		t.Errorf("group %s", s.Group())
	}
}
