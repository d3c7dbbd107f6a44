package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/guesttest"
	"tidemark.dev/pkg/cdp"
)

// machine is the demo over a real one.
type machine struct {
	teller
	bin, dir string
	p        *guesttest.Product
	s        *guesttest.Source
	good     cdp.Point // the last one before the attack
	acked    int64     // the last row that was acknowledged before it
}

// runGuest tells the story with a Linux machine and PostgreSQL: protected, broken
// into, lost with its site, and brought back. It needs QEMU, and root and the
// network only to build the machine's image once.
func runGuest(ctx context.Context, bin string, out io.Writer) (err error) {
	m := &machine{teller: teller{out}}
	if m.bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	if m.dir, err = os.MkdirTemp("", "tmd"); err != nil { // short: sockets are in it
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	if err := m.image(ctx); err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	defer func() { err = errors.Join(err, m.leave()) }()
	for _, act := range []func(context.Context) error{m.protect, m.work, m.attack, m.lose, m.look, m.recover} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	m.say("")
	m.say("The whole story took %s. Nothing of it is left on this machine.", time.Since(began).Round(time.Second))
	return nil
}

// image gets the machine's image.
func (m *machine) image(ctx context.Context) error {
	m.step(1, "A Linux machine with PostgreSQL, on two disks")
	if err := guest.CheckTools(); err != nil {
		return err
	}
	cache, err := guest.CacheDir()
	if err != nil {
		return err
	}
	m.say("Its image is kept in %s. If it is not there it is built now: a minute or two, with root and the network.", cache)
	began := time.Now()
	im, err := guest.Prepare(ctx)
	if err != nil {
		return fmt.Errorf("the image of the machine cannot be had: %w", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		m.say("built in %s", d.Round(time.Second))
	}
	m.say("root disk: %s (1 GiB)", im.Root)
	m.say("the disk of the database's log: %s (256 MiB)", im.Data)
	return nil
}

// protect starts the product and the machine on its disks.
func (m *machine) protect(ctx context.Context) error {
	m.step(2, "Tidemark at two sites; the machine boots with its disks on Tidemark")
	m.p = &guesttest.Product{Bin: m.bin, Dir: m.dir, Apart: true, Show: m.w}
	if err := m.p.Start(ctx); err != nil {
		return err
	}
	m.say("prod is the source, dr the target. Each disk of the machine is an NBD export of Tidemark's capture.")
	began := time.Now()
	var err error
	m.s, err = guesttest.Protect(ctx, m.p, guesttest.SourceConfig{Variant: guesttest.Variant{Journal: "rollback"}, Job: m.job(), Dir: m.dir})
	if err != nil {
		return err
	}
	m.say("The database was up after %.1f s; what was on the disks before was copied meanwhile.", time.Since(began).Seconds())
	return nil
}

// job has a name of its own: what capture keeps in memory is found by it.
func (m *machine) job() string { return "shop" + filepath.Base(m.dir)[3:] }

// work shows the machine at work, and what Tidemark says meanwhile.
func (m *machine) work(ctx context.Context) error {
	m.step(3, "The machine works: it commits rows to a ledger, and prints each that is acknowledged")
	if _, err := m.p.Until(ctx, m.job(), "there are points", func(st guesttest.Standing) bool { return st.HasPoints(2) }); err != nil {
		return err
	}
	for range 3 {
		if err := m.s.VM.WaitAcks(ctx, len(m.s.VM.Acks())+40); err != nil {
			return err
		}
		m.say("%d rows acknowledged", m.s.VM.LastAck())
		if _, err := m.p.Run(ctx, "status"); err != nil {
			return err
		}
	}
	if _, err := m.p.Run(ctx, "point", "create", m.job(), "--tag", "known-good"); err != nil {
		return err
	}
	_, err := m.p.Run(ctx, "point", "list", m.job(), "--last", "5")
	return err
}

// leave ends what runs, whatever happened.
func (m *machine) leave() error {
	if m.s != nil {
		m.s.Kill()
	}
	if m.p == nil {
		return nil
	}
	return errors.Join(m.p.Stop(), m.p.Forget(m.job()))
}
