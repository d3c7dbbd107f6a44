package main

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
)

// plain is the journal one would write first, as a baseline: one key for each
// block of each write, through Pebble's log, with Pebble's own settings, one
// sync for as many frames as have arrived.
type plain struct {
	conn *bus.Conn
	db   *pebble.DB
	stop context.CancelFunc
	done chan error
}

func startPlain(ctx context.Context, dir string, g cdp.GroupID, srv *bus.Server) (_ *plain, err error) {
	p := &plain{done: make(chan error, 1)}
	if p.conn, err = bus.Connect(ctx, bus.Config{Site: site, Name: subjects.Journal, Server: srv}); err != nil {
		return nil, err
	}
	if p.db, err = pebble.Open(filepath.Join(dir, "plain"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: mute{}}); err != nil {
		return nil, err
	}
	src, err := bus.OpenSource(p.conn, site, g)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	p.stop = stop
	messages := make(chan spool.Message, 32)
	go func() {
		defer close(messages)
		src.Pull(run, 1, nil, func(m spool.Message) error {
			select {
			case messages <- m:
				return nil
			case <-run.Done():
				return run.Err()
			}
		})
	}()
	go func() { p.done <- p.store(run, src, messages) }()
	return p, nil
}

func (p *plain) store(ctx context.Context, src spool.Source, in <-chan spool.Message) error {
	var key [18]byte

	for m := range in {
		b := p.db.NewBatch()
		var last frame.Frame
		size := 0
		for more := true; more; {
			f, err := frame.Parse(m.Data)
			if err == nil {
				err = f.Verify()
			}
			if err != nil {
				return err
			}
			for i := range f.Records {
				r := f.Record(i)
				data := f.Data(r)
				for at := 0; at+cdp.BlockSize <= len(data); at += cdp.BlockSize {
					binary.BigEndian.PutUint16(key[0:], uint16(r.Disk))
					binary.BigEndian.PutUint64(key[2:], uint64(r.Offset+int64(at))/cdp.BlockSize)
					binary.BigEndian.PutUint64(key[10:], ^uint64(f.First+cdp.Seq(i)))
					if err := b.Set(key[:], data[at:at+cdp.BlockSize], nil); err != nil {
						return err
					}
				}
			}
			last, size = f, size+len(m.Data)
			more = false
			if size < batchBytes {
				select {
				case m, more = <-in:
				default:
				}
			}
		}
		if err := b.Set([]byte("cursor"), binary.BigEndian.AppendUint64(nil, uint64(last.No)), nil); err != nil {
			return err
		}
		if err := errors.Join(b.Commit(pebble.Sync), b.Close()); err != nil {
			return err
		}
		if err := src.PublishDurable(spool.Durable{No: last.No, Epoch: last.Epoch}); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (p *plain) close() error {
	p.stop()
	err := <-p.done
	p.conn.Close()
	return errors.Join(err, p.db.Close())
}

// mute is a logger of Pebble's that says nothing.
type mute struct{}

func (mute) Infof(string, ...any)  {}
func (mute) Errorf(string, ...any) {}
func (mute) Fatalf(f string, a ...any) {
	panic(f)
}
