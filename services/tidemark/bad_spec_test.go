package main

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
)

// garbage is what somebody stores who is not Tidemark.
var garbage = map[string]string{
	"$KV." + subjects.BucketSpec + ".job.web":         `{"name": "web", "source": {`,
	"$KV." + subjects.BucketSpec + ".job.nobody":      "\xff\x00 not JSON",
	"$KV." + subjects.BucketSpec + ".vmjob.shop":      `null`,
	"$KV." + subjects.BucketSpec + ".site.prod":       `[`,
	"$KV." + subjects.BucketState + ".job.web":        `"running"`,
	"$KV." + subjects.BucketState + ".rpo.web":        `x`,
	"$KV." + subjects.BucketState + ".failover.other": `[]`,
	"$KV." + subjects.BucketState + ".vcenter.job.x":  `}`,
}

// One stored value that is not JSON costs nobody anything: it is set aside with an
// alarm, guests write on, points are made, failover works, also after a restart.
func TestAStoredValueThatIsNotJSONHurtsNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, src, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	guest := startGuest(t, l.field("write to", "status", "web"))

	l.spoil(garbage)
	for _, want := range []string{"web", "nobody", "shop"} {
		l.until("job.alarm", "events", "job.alarm."+want)
	}
	out := l.until("protected", "status")
	if !strings.Contains(out, "nobody") || !strings.Contains(out, "its stored description cannot be used") {
		t.Error("status does not name what cannot be read:", out)
	}
	l.do(0, "get", "job")
	l.do(0, "point", "create", "web", "--tag", "after")
	l.do(0, "failover", "web", "--mode", "test", "--point", "after")
	l.do(0, "failover", "cleanup", "web")
	if out, _ := l.do(0, "get", "job", "web", "-o", "yaml"); !strings.Contains(out, src) {
		t.Error("the description was not restored:", out)
	}
	guest.stop()

	l.stop()
	l = newLab(t, dir, "")
	l.until("protected", "status", "web")
	guest = startGuest(t, l.field("write to", "status", "web"))
	l.do(0, "point", "create", "web", "--tag", "restarted")
	guest.stop()
	l.do(0, "delete", "job", "nobody")
}

// spoil stores values as they are, by bucket and key.
func (l *lab) spoil(values map[string]string) {
	l.t.Helper()
	known, err := client.LoadContext(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	bustest.Spoil(l.t, known.Sites["dr"].URL, l.credential(subjects.Setup), values)
}

// credential is what a service of site dr logs in with.
func (l *lab) credential(service string) bus.Credential {
	l.t.Helper()
	creds, err := bus.LoadCredentials(filepath.Join(l.dir, "dr", "credentials.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	return creds.Users[service]
}

// guest writes to a disk all the time, over one connection.
type guest struct{ stop func() }

func startGuest(t *testing.T, uri string) *guest {
	t.Helper()
	c := dial(t, uri)
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := int64(0); ; n++ {
			select {
			case <-quit:
				return
			default:
			}
			if _, err := c.WriteAt(make([]byte, 4096), n%512*4096); err != nil {
				t.Errorf("write %d of the guest failed: %v", n, err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	g := &guest{stop: sync.OnceFunc(func() { close(quit); wg.Wait(); _ = c.Close() })}
	t.Cleanup(g.stop)
	return g
}
