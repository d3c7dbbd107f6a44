package capture

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

// meddled is a world whose disk 0 others change; what is at the journal afterwards
// must be what is on the disk.
type meddled struct {
	*world
	alarms *alarms
	path   string
}

func newMeddled(t *testing.T) *meddled {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	a := &alarms{recorder: &w.log, raised: map[AlarmKind]int{}}
	w.deps.Events, w.cfg.LookEvery = a, time.Millisecond
	w.up()
	w.settle()
	return &meddled{w, a, w.job.Disks[0].Path}
}

func (m *meddled) down() {
	m.t.Helper()
	if err := m.g.Close(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

// scribble changes a file as dd would, at a time that differs from any before.
func (m *meddled) scribble(path string, b byte) {
	m.t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{b, b, b}, 70_000)
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		later := time.Now().Add(time.Duration(b) * time.Hour)
		err = os.Chtimes(path, later, later)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *meddled) swap() {
	m.t.Helper()
	was, err := os.Stat(m.path)
	if err == nil {
		err = os.WriteFile(m.path+".new", make([]byte, diskSize), 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.scribble(m.path+".new", 7)
	if err = os.Chtimes(m.path+".new", was.ModTime(), was.ModTime()); err == nil {
		err = os.Rename(m.path+".new", m.path)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *meddled) raised(n int) {
	m.t.Helper()
	if got := m.alarms.count(AlarmMeddled); got != n {
		m.t.Errorf("%d alarms, want %d", got, n)
	}
}

// A disk that others change while it is not captured, or beside its export without a
// lock, is copied again, and an alarm says so. Our own writes, and a disk that was
// moved and linked to from its old place, are nothing of the kind.
func TestADiskThatOthersChangedIsCopiedAgain(t *testing.T) {
	t.Run("written while closed", func(t *testing.T) {
		m := newMeddled(t)
		m.down()
		m.scribble(m.path, 1)
		m.up()
		m.settle()
		m.raised(1)
		m.end()
	})
	t.Run("replaced while closed, with its times", func(t *testing.T) {
		m := newMeddled(t)
		m.down()
		m.swap()
		m.up()
		m.settle()
		m.raised(1)
		m.end()
	})
	t.Run("written beside its export", func(t *testing.T) {
		m := newMeddled(t)
		m.scribble(m.path, 2)
		m.eventually("the alarm", func() bool { return m.alarms.count(AlarmMeddled) > 0 })
		m.settle()
		m.end()
	})
	t.Run("replaced while it is served", func(t *testing.T) {
		m := newMeddled(t)
		m.swap()
		m.eventually("the alarm", func() bool { return m.alarms.count(AlarmMeddled) > 0 })
		m.point()
		m.raised(1)
		if s := m.g.Status().State; s != event.Replicating {
			t.Error(s)
		}
		m.down() // now the other file is the disk
		m.up()
		m.settle()
		m.raised(2)
		m.end()
	})
	t.Run("what it was cannot be read", func(t *testing.T) {
		m := newMeddled(t)
		m.down()
		if err := os.WriteFile(stampsPath(m.cfg, m.job.Group), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		m.up()
		m.settle()
		m.raised(1)
		m.end()
	})
	t.Run("moved and linked", func(t *testing.T) {
		m := newMeddled(t)
		m.down()
		to := filepath.Join(t.TempDir(), "elsewhere")
		if err := os.Rename(m.path, to); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, m.path); err != nil {
			t.Fatal(err)
		}
		m.up()
		m.settle()
		m.raised(0)
		m.end()
	})
	t.Run("our own writes", func(t *testing.T) {
		m := newMeddled(t)
		m.write(100 * time.Microsecond)
		for range 10 {
			m.settle()
		}
		m.still(func() { m.down(); m.up() })
		m.settle()
		m.raised(0)
		m.end()
	})
}
