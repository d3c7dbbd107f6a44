package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"sync"
	"time"
)

// Console reads the serial log of a guest that runs in another process, while
// it is written. Its methods may be called from several goroutines.
type Console struct {
	serial *serial
	stop   context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	acks []ackSeen
	err  error // why reading ended
}

// ackSeen is the newest row whose acknowledgement had been seen at a moment.
type ackSeen struct {
	at  time.Time
	row int64
}

// consolePoll is how late an acknowledgement may be noted.
const consolePoll = 5 * time.Millisecond

// ReadConsole follows the file at path, which need not exist yet, until ctx ends
// or Close. A path that is a symbolic link is resolved once, at the file's first
// byte: the console stays with the boot it began with.
func ReadConsole(ctx context.Context, path string) *Console {
	ctx, stop := context.WithCancel(ctx)
	c := &Console{serial: newSerial(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		err := c.follow(ctx, path)
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}()
	return c
}

func (c *Console) follow(ctx context.Context, path string) error {
	defer c.serial.end()
	var f *os.File
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		var err error
		if f == nil {
			if f, err = os.Open(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		n := 0
		if f != nil {
			if n, err = f.Read(buf); err != nil && err != io.EOF {
				return err
			}
		}
		if n > 0 {
			c.serial.Write(buf[:n])
			c.note(time.Now())
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(consolePoll):
		}
	}
}

// note is called after what was printed is in: the time is never too early.
func (c *Console) note(at time.Time) {
	acks := c.serial.acknowledged()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(acks) == 0 {
		return
	}
	row := acks[len(acks)-1]
	if n := len(c.acks); n == 0 || c.acks[n-1].row != row {
		c.acks = append(c.acks, ackSeen{at, row})
	}
}

// Close ends reading once all that is in the file was read, and returns why
// reading failed, if it did. What was read stays readable.
func (c *Console) Close() error {
	c.stop()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("guest: read console: %w", c.err)
	}
	return nil
}

// Text is what the guest has printed so far.
func (c *Console) Text() string { return c.serial.text() }

// WaitFor returns when the guest has printed substring, as VM.WaitFor does; it
// cannot see that a guest was killed.
func (c *Console) WaitFor(ctx context.Context, substring string) error {
	return c.serial.waitFor(ctx, substring)
}

// WaitAcks returns when the guest has acknowledged n rows; errors as WaitFor.
func (c *Console) WaitAcks(ctx context.Context, n int) error { return c.serial.waitAcks(ctx, n) }

// Acks returns the ids of all rows the guest printed as committed, in order.
func (c *Console) Acks() []int64 { return c.serial.acknowledged() }

// LastAck returns the last of Acks, 0 if there is none.
func (c *Console) LastAck() int64 {
	if acks := c.Acks(); len(acks) > 0 {
		return acks[len(acks)-1]
	}
	return 0
}

// AckedBefore returns the newest row that was acknowledged for certain before t,
// 0 if none was. A row counts from when its acknowledgement was seen here, which
// is later than its commit.
func (c *Console) AckedBefore(t time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := sort.Search(len(c.acks), func(i int) bool { return c.acks[i].at.After(t) })
	if i == 0 {
		return 0
	}
	return c.acks[i-1].row
}

// Ledger waits until a guest in ModeCheck or ModeResume has reported, and reads
// the report. A database that does not come up is a finding, as in CheckLedger.
func (c *Console) Ledger(ctx context.Context) (Ledger, error) {
	err := c.serial.wait(ctx, "the report of the ledger", func() bool {
		for _, last := range []string{"AMCHECK ok\n", "AMCHECK bad\n", "RECORD count="} {
			if bytes.Contains(c.serial.lines, []byte(last)) {
				return true
			}
		}
		return false
	})
	if err != nil && !c.serial.gaveUp() {
		return Ledger{}, err
	}
	return ParseLedger(c.Text()), nil
}
