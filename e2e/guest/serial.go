package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// serial collects what the guest prints. An acknowledgement counts only as a
// whole line: of a console cut short, "ACK 1" may be the start of "ACK 12".
type serial struct {
	copy io.Writer // gets the raw bytes too; set before the first Write

	mu      sync.Mutex
	lines   []byte // whole lines, \n ended, carriage returns dropped
	partial []byte // the line being printed
	acks    []int64
	failure string        // the line that says the guest gave up
	ended   bool          // nothing more will come
	changed chan struct{} // closed and replaced at every change
}

func newSerial() *serial { return &serial{changed: make(chan struct{})} }

func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, bytes.ReplaceAll(p, []byte("\r"), nil)...)
	for {
		i := bytes.IndexByte(s.partial, '\n')
		if i < 0 {
			break
		}
		s.line(string(s.partial[:i]))
		s.lines = append(s.lines, s.partial[:i+1]...)
		s.partial = s.partial[i+1:]
	}
	s.wake()
	if s.copy != nil {
		return s.copy.Write(p)
	}
	return len(p), nil
}

func (s *serial) line(line string) {
	if id, ok := strings.CutPrefix(line, "ACK "); ok {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			s.acks = append(s.acks, n)
		}
		return
	}
	for _, gaveUp := range []string{"WORK-FAILED", "BOOT-FAILED", "Kernel panic"} {
		if strings.Contains(line, gaveUp) && s.failure == "" {
			s.failure = line
		}
	}
}

// end says that no more will come.
func (s *serial) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake()
}

func (s *serial) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *serial) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.lines) + string(s.partial)
}

func (s *serial) acknowledged() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int64(nil), s.acks...)
}

// gaveUp tells that the guest said its work failed.
func (s *serial) gaveUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != ""
}

func (s *serial) waitFor(ctx context.Context, substring string) error {
	return s.wait(ctx, fmt.Sprintf("%q", substring), func() bool {
		return bytes.Contains(s.lines, []byte(substring)) || bytes.Contains(s.partial, []byte(substring))
	})
}

func (s *serial) waitAcks(ctx context.Context, n int) error {
	return s.wait(ctx, fmt.Sprintf("%d acknowledged rows", n), func() bool { return len(s.acks) >= n })
}

// wait returns when seen, which is called with s.mu held, returns true.
func (s *serial) wait(ctx context.Context, what string, seen func() bool) error {
	for {
		s.mu.Lock()
		ok, failure, ended, changed := seen(), s.failure, s.ended, s.changed
		s.mu.Unlock()
		var err error
		switch {
		case ok:
			return nil
		case failure != "":
			err = errors.New(failure)
		case ended:
			err = errors.New("the guest ended")
		default:
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return fmt.Errorf("guest: wait for %s: %w; console ends:\n%s", what, err, lastLines(s.text(), 15))
	}
}
