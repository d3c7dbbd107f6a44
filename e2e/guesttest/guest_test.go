package guesttest

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/guest"
)

var all = flag.Bool("all", false, "all four variants instead of two")

// rows is how many rows a guest commits under protection, at least.
const rows = 150

// tidemark is the product under test.
var tidemark string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if tidemark = os.Getenv("TIDEMARK_BIN"); tidemark != "" || os.Getenv("TIDEMARK_GUEST") == "0" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "tmbin")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		tidemark = filepath.Join(dir, "tidemark")
		if out, err := exec.Command("go", "build", "-o", tidemark, "tidemark.dev/services/tidemark").CombinedOutput(); err != nil {
			os.Stderr.Write(out)
			return 1
		}
		return m.Run()
	}())
}

// life is one guest's: protected, running, and lost.
type life struct {
	*testing.T
	ctx context.Context
	p   *Product
	s   *Source
	dir string
}

// live protects a guest, and returns when it has run for a while with points at
// the cadence and one that was asked for.
func live(t *testing.T, v Variant, apart bool) *life {
	guest.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	short, err := os.MkdirTemp("", "tmg") // sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	dir := t.TempDir()
	l := &life{T: t, ctx: ctx, p: &Product{Bin: tidemark, Dir: short, Disks: dir, Apart: apart}, dir: dir}
	job := "guest" + filepath.Base(short)[3:]
	t.Cleanup(func() { l.must(l.p.Forget(job)) })
	began := time.Now()
	if err := l.p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			said := l.p.Log()
			t.Logf("the product said:\n%s", said[max(0, len(said)-8000):])
		}
	})
	l.s, err = Protect(ctx, l.p, SourceConfig{Variant: v, Job: job, Dir: l.dir, Oracle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.s.Kill)
	l.Logf("database up on protected disks after %.1fs", time.Since(began).Seconds())
	soon, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	l.must(l.s.Attach(soon, l.p))
	_, err = l.p.Until(soon, job, "there are points", func(st Standing) bool { return st.HasPoints(2) })
	l.must(err)
	l.Logf("first points after %.1fs; %d rows", time.Since(began).Seconds(), l.s.Acks.Last())
	start := len(l.s.VM.Acks())
	l.must(l.s.VM.WaitAcks(ctx, start+rows/2))
	made, err := l.p.CLI(ctx, "point", "create", job, "--tag", "before-upgrade")
	l.must(err)
	l.Logf("requested point: %s", made)
	l.must(l.s.VM.WaitAcks(ctx, start+rows))
	_, err = l.p.Until(soon, job, "there are points enough", func(st Standing) bool { return st.HasPoints(8) })
	l.must(err)
	l.Logf("%d rows after %.1fs", l.s.Acks.Last(), time.Since(began).Seconds())
	return l
}

func (l *life) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// points tries five points, the newest among them, and boots them all; it
// returns the newest one's disks. The newest must have every row that was ever
// acknowledged if everything arrived.
func (l *life) points(arrived bool) [2]string {
	ps, err := l.p.Points(l.ctx, l.s.Job)
	l.must(err)
	chosen, err := Choose(ps, "before-upgrade", 5)
	l.must(err)
	dir := l.TempDir()
	for i, pt := range chosen {
		acked, newest := l.s.Bounds(pt)
		if i == 0 && arrived {
			acked = l.s.Acks.Last()
		}
		tr := Trial{Point: pt.ID(), Acked: acked, Newest: newest, Keep: i == 0, Last: i == 0 && arrived && !l.s.Tap, Dir: l.TempDir()}
		if i == 0 {
			tr.Dir = dir
		}
		l.try(tr)
	}
	return [2]string{filepath.Join(dir, "system.raw"), filepath.Join(dir, "log.raw")}
}

func (l *life) try(tr Trial) {
	l.Helper()
	v, err := l.s.Try(l.ctx, l.p, tr)
	var disks []string
	for i, name := range DiskNames {
		is := v.State[i].String()
		if v.Source[i] {
			is = "equal to the source's"
		}
		disks = append(disks, name+" is "+is)
	}
	l.Logf("%s: usable after %.2fs, judged in %.1fs; %s", tr.Point, v.Usable.Seconds(), v.Took.Seconds(), strings.Join(disks, "; "))
	l.Logf("%s boots: %d rows, %d were acknowledged", tr.Point, v.Ledger.Max, tr.Acked)
	l.must(err)
}

func (l *life) arrived() Standing {
	ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
	defer cancel()
	st, err := l.p.Until(ctx, l.s.Job, "the journal has everything", func(st Standing) bool {
		return st.Arrived() && (l.s.Tap || st.Journal.Newest.Seq == st.Journal.Bounds.Head)
	})
	l.must(err)
	return st
}
