package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// benchPipeline: writes of 4 KiB from a guest's hand to the journal's disk,
// through capture, a JetStream file stream and the journal service, all in this
// process.
func benchPipeline(b *Bench) error {
	long := 4 * time.Second
	if b.quick {
		long = time.Second
	}
	kinds := []string{"", "plain", string(cdp.Rollback)}
	rate := map[string][]float64{}
	for range b.rounds {
		for _, k := range kinds {
			l, err := newLine(b, k)
			if err != nil {
				return err
			}
			n, err := l.flood(long)
			if err = errors.Join(err, l.close()); err != nil {
				return err
			}
			rate[k] = append(rate[k], n)
		}
	}
	mb := func(k string) float64 { return median(rate[k]) * 4096 / 1e6 }
	b.report("pipeline", rate[""], "writes/s", atLeast(90_000), fmt.Sprintf("4 KiB random, roll-forward: %.0f MB/s", mb("")))
	b.report("pipeline.plain", ratios(rate[""], rate["plain"]), "x plain", atLeast(4), fmt.Sprintf("one key per block on the same bus: %.0f MB/s", mb("plain")))
	b.report("pipeline.rollback", rate["rollback"], "writes/s", info, fmt.Sprintf("with base following: %.0f MB/s", mb("rollback")))
	return nil
}

// benchLatency: the time from a write to the word that it is durable, at a
// steady rate.
func benchLatency(b *Bench) error {
	long := 4 * time.Second
	if b.quick {
		long = time.Second
	}
	type key struct {
		mb   int
		kind string
	}
	p50, p99 := map[key][]float64{}, map[key][]float64{}
	for range b.rounds {
		for _, k := range []key{{5, ""}, {5, "plain"}, {100, ""}, {20, "plain"}} {
			b.calm()
			l, err := newLine(b, k.kind)
			if err != nil {
				return err
			}
			lat, err := l.pace(k.mb, long)
			if err = errors.Join(err, l.close()); err != nil {
				return err
			}
			p50[k] = append(p50[k], millis(lat.percentile(50)))
			p99[k] = append(p99[k], millis(lat.percentile(99)))
		}
	}
	ref := func(mb int) string {
		k := key{mb, "plain"}
		return fmt.Sprintf("write to durable; one key per block at %d MB/s: p50 %.2f, p99 %.2f", mb, median(p50[k]), median(p99[k]))
	}
	b.report("latency.5mb.p50", p50[key{5, ""}], "ms", atMost(0.5), ref(5))
	b.report("latency.5mb.p99", p99[key{5, ""}], "ms", info, "")
	b.report("latency.100mb.p50", p50[key{100, ""}], "ms", atMost(2), ref(20))
	b.report("latency.100mb.p99", p99[key{100, ""}], "ms", atMost(16), "")
	return nil
}

const (
	lineDisk = 16 << 30
	// lineWindow is how many writes of 4 KiB may be on their way at once, so that
	// capture's window of 32 frames never overflows.
	lineWindow = 10 << 20 / 4096
)

// line is a whole pipeline with a counter at its end.
type line struct {
	dir     string
	src     *source
	journal interface{ close() error }
	disk    block.Device

	mu      sync.Mutex
	moved   *sync.Cond
	written cdp.Seq
	durable cdp.Seq
	begun   []time.Time // when writes behind durable began; nil: not asked for
	lat     latencies
}

func newLine(b *Bench, kind string) (_ *line, err error) {
	l := &line{dir: filepath.Join(b.dir, "line")}
	l.moved = sync.NewCond(&l.mu)
	groups := []groupConfig{{Group: "line", Size: lineDisk}}
	if l.src, err = startSource(b, sourceConfig{Dir: l.dir, Mode: cdp.Tap, Groups: groups, reached: l.reached, mute: kind == "plain"}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if kind == "plain" {
		l.journal, err = startPlain(b, l.dir, "line", l.src.srv)
	} else {
		mode := cdp.RollForward
		if kind != "" {
			mode = cdp.JournalMode(kind)
		}
		l.journal, err = startTarget(b, targetConfig{Dir: filepath.Join(l.dir, "journal"), Mode: mode, Groups: groups}, l.src.srv)
	}
	if err != nil {
		return nil, err
	}
	g, err := l.src.svc.Group("line")
	if err != nil {
		return nil, err
	}
	l.disk = g.Device(0)
	if kind == "plain" {
		return l, l.src.attached(b)
	}
	return l, l.src.ready(b)
}

func (l *line) close() error {
	err := l.src.stopCapture()
	if l.journal != nil {
		err = errors.Join(err, l.journal.close())
	}
	return errors.Join(err, l.src.close(), os.RemoveAll(l.dir))
}

// reached hears that all writes up to s are durable.
func (l *line) reached(s cdp.Seq) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if s <= l.durable {
		return
	}
	if n := min(int(s-l.durable), len(l.begun)); n > 0 {
		for _, t := range l.begun[:n] {
			l.lat = append(l.lat, now.Sub(t))
		}
		l.begun = l.begun[n:]
	}
	l.durable = s
	l.moved.Broadcast()
}

// guest writes blocks at random.
func (l *line) guest() func() error {
	content := noise(16 << 20)
	rng := rand.New(rand.NewPCG(7, 7))
	n := 0
	return func() error {
		n++
		at := n * 4160 % (len(content) - 4096)
		return l.disk.WriteAt(content[at:at+4096], rng.Int64N(lineDisk/4096)*4096, false)
	}
}

// waitFor waits until no more than n writes are on their way.
func (l *line) waitFor(n cdp.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.written-l.durable > n {
		l.moved.Wait()
	}
}

// flood writes as fast as it goes, and gives durable writes per second.
func (l *line) flood(d time.Duration) (float64, error) {
	write := l.guest()
	l.waitFor(0)
	var warm time.Time
	var from cdp.Seq
	for began := time.Now(); time.Since(began) < d+d/4; {
		for range 64 {
			if err := write(); err != nil {
				return 0, err
			}
		}
		l.mu.Lock()
		l.written += 64
		if warm.IsZero() && time.Since(began) > d/4 {
			warm, from = time.Now(), l.durable
		}
		l.mu.Unlock()
		l.waitFor(lineWindow)
	}
	l.mu.Lock()
	n := float64(l.durable-from) / time.Since(warm).Seconds()
	l.mu.Unlock()
	l.waitFor(0)
	return n, l.inOrder()
}

// pace writes mb megabytes a second, and gives the time from each write to the
// word that it is durable.
func (l *line) pace(mb int, d time.Duration) (latencies, error) {
	write := l.guest()
	l.waitFor(0)
	step := time.Duration(4096 * 1e9 / (float64(mb) * 1e6))
	began := time.Now()
	for n := 0; time.Since(began) < d; n++ {
		for wait := time.Until(began.Add(time.Duration(n) * step)); wait > 50*time.Microsecond; wait = time.Until(began.Add(time.Duration(n) * step)) {
			time.Sleep(wait)
		}
		l.mu.Lock()
		l.written++
		l.begun = append(l.begun, time.Now())
		l.mu.Unlock()
		if err := write(); err != nil {
			return nil, err
		}
	}
	l.waitFor(0)
	return l.lat, l.inOrder()
}

// inOrder makes sure that no write was left out.
func (l *line) inOrder() error {
	if n := l.src.events.overflows.Load(); n > 0 {
		return fmt.Errorf("capture overflowed %d times", n)
	}
	return nil
}
