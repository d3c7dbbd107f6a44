package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/failoverrun"
)

// containers is the demo over two sites of containers.
type containers struct {
	disks
	stack    *stack
	observed bool   // by Jaeger and Prometheus
	picture  string // the file for a picture of the trace; "": none
	fire     shown  // the trace of the failover
	sure     int    // as many writes are in a durable point
}

// runCompose tells the short story over deploy/compose/demo.yaml: the source's
// containers are killed, and one message brings the disks back at the target. If it
// is observed it ends with a look at Jaeger and Prometheus, and
// with a picture of Jaeger's page if that has a name.
func runCompose(ctx context.Context, bin, dir string, observed bool, picture string, out io.Writer) (err error) {
	dir, remove, err := demoDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	began := time.Now()
	c := &containers{observed: observed, picture: picture, disks: disks{teller: teller{out}, dir: dir, sock: filepath.Join(dir, "prod/capture/shop.sock"),
		rec: record{sizes: []int64{64 << 20, 16 << 20}}, rng: rand.New(rand.NewPCG(rand.Uint64(), 0)),
		tm: &tidemark{bin: bin, dir: filepath.Join(dir, "nats-dr"), out: out}}}
	c.step(1, "Two sites of containers start: prod, the source, and dr, the target")
	if c.stack, err = prepare(ctx, bin, dir); err != nil {
		return err
	}
	acts := []func(context.Context) error{c.start, c.protect, c.upgrade, c.work, c.burn, c.recover}
	if observed {
		c.stack.observe()
		acts = append(acts, c.traced, c.measured, c.drawn)
	}
	if picture != "" {
		acts = append(acts, c.pictured)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, c.stack.logs())
		}
		err = errors.Join(err, c.stack.down())
	}()
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	c.say("")
	c.say("The whole story took %s. Its containers are removed.", time.Since(began).Round(time.Second))
	return nil
}

func (c *containers) start(ctx context.Context) error {
	if err := c.stack.compose(ctx, "up", "-d"); err != nil {
		return err
	}
	return until(ctx, "dr to answer", func() bool { _, err := c.tm.quiet(ctx, "status"); return err == nil })
}

func (c *containers) work(ctx context.Context) error {
	c.step(4, "A client writes to both disks, in turn")
	if err := c.write(ctx, time.Second); err != nil {
		return err
	}
	if err := c.mark(ctx, "before-the-fire"); err != nil {
		return err
	}
	c.sure = len(c.rec.writes)
	if err := c.write(ctx, time.Second); err != nil {
		return err
	}
	return c.tm.run(ctx, "status")
}

// mark makes a point. None can be made while a container starts, nor while what a slow
// machine could not send in time is copied again.
func (c *containers) mark(ctx context.Context, tag string) error {
	c.say("$ tidemark point create shop --tag %s", tag)
	var out []byte
	var last error
	err := until(ctx, "a recovery point", func() bool {
		out, last = c.tm.quiet(ctx, "point", "create", "shop", "--tag", tag)
		return last == nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	c.say("  %s", strings.TrimSpace(string(out)))
	return nil
}

// burn takes the source away, in the middle of its work.
func (c *containers) burn(ctx context.Context) error {
	c.step(5, "The source site burns down: its containers are killed, and its disks deleted")
	if err := c.stack.compose(ctx, "kill", "prod-capture", "prod-nats"); err != nil {
		return err
	}
	for i, n := range names {
		c.nbd[i].Abort()
		if err := os.Remove(c.path("source", n)); err != nil {
			return err
		}
	}
	return nil
}

const (
	startSubject = "tidemark.cmd.v1.dr.failover.start.shop"
	startMessage = `{"job": "shop", "run": "fire-1", "mode": "production", "to": "nbd"}`
)

func (c *containers) recover(ctx context.Context) error {
	c.step(6, "Failover to the newest point, by a message")
	header := ""
	if c.observed {
		header = " -H Traceparent:" + fireTraceparent
	}
	c.say("$ nats pub %s '%s'%s", startSubject, startMessage, header)
	if err := c.publish(startSubject, startMessage); err != nil {
		return err
	}
	var run failoverrun.Run
	err := until(ctx, "the failover to be ready", func() (ready bool) {
		var err error
		run, err = ask[failoverrun.Run](ctx, c.tm, "failover", "status", "shop")
		return err == nil && (run.Phase == "ready" || run.Phase == "failed")
	})
	if err == nil && run.Phase == "failed" {
		err = fmt.Errorf("the failover failed: %s", run.Error)
	}
	if err != nil {
		return err
	}
	if err := c.tm.run(ctx, "failover", "status", "shop"); err != nil {
		return err
	}
	n, err := c.proveExport(ctx, "production")
	if err != nil {
		return err
	}
	if n < c.sure {
		return fmt.Errorf("the disks are those after write %d, and a point after write %d was durable", n, c.sure)
	}
	c.say("PROVEN: both disks are, byte for byte, what they were after write %d of %d.", n, len(c.rec.writes))
	return nil
}

// publish sends bare JSON as the operator, as nats pub does.
func (c *containers) publish(subject, text string) error {
	file, err := client.LoadContext(c.tm.dir)
	if err != nil {
		return err
	}
	ref := file.Sites["dr"]
	nc, err := nats.Connect(ref.URL, nats.UserInfo(ref.Credential.User, ref.Credential.Password))
	if err != nil {
		return err
	}
	defer nc.Close()
	m := nats.NewMsg(subject)
	m.Data = []byte(text)
	if c.observed {
		m.Header.Set("Traceparent", fireTraceparent)
	}
	if err := nc.PublishMsg(m); err != nil {
		return err
	}
	return nc.FlushTimeout(time.Minute)
}
