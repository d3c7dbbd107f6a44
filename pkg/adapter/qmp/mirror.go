package qmp

import (
	"context"
	"fmt"
	"time"
)

// The events of a block job. Their data is a JobEvent.
const (
	EventReady     = "BLOCK_JOB_READY"     // the target has all of the source; sent once in a job's life
	EventError     = "BLOCK_JOB_ERROR"     // a read or write failed; Action says what QEMU did about it
	EventCompleted = "BLOCK_JOB_COMPLETED" // the job has ended, by itself or by a Cancel after ready; Error if it failed
	EventCancelled = "BLOCK_JOB_CANCELLED" // the job was cancelled before it was ready, or by Abort
)

// JobEvent is the data of the four events.
type JobEvent struct {
	Name      string    `json:"-"` // one of the Event constants
	At        time.Time `json:"-"`
	Job       string    `json:"device"`
	Len       int64     `json:"len"`       // bytes to copy in all, grows with guest writes
	Offset    int64     `json:"offset"`    // bytes copied
	Error     string    `json:"error"`     // EventCompleted: why it failed; empty is success
	Operation string    `json:"operation"` // EventError: "read" or "write"
	Action    string    `json:"action"`    // EventError: "stop", "report" or "ignore"
}

// MirrorConfig says what to copy where.
type MirrorConfig struct {
	Job    string // id of the job, unique among QEMU's
	Device string // node (or device) whose writes are copied; the guest's top node
	Target string // node that receives them, of at least the same size
	// Speed bounds the copy of what is there, in bytes per second; 0 is no bound.
	// Guest writes are never held up by it. See SetSpeed.
	Speed int64
	// New copies nothing that is there, only what the guest writes from now on.
	New bool
}

// Mirror is a running copy job. Its methods take the job's own events only; use
// them from one goroutine.
type Mirror struct {
	c   *Client
	job string
}

// StartMirror starts a full copy, or none with New. After it each guest write
// completes only when the target has it too. A failure of the target stops the
// job and not the guest; a failure of the source is reported to the guest.
func StartMirror(ctx context.Context, c *Client, cfg MirrorConfig) (*Mirror, error) {
	sync := "full"
	if cfg.New {
		sync = "none"
	}
	err := c.Execute(ctx, "blockdev-mirror", map[string]any{
		"job-id":          cfg.Job,
		"device":          cfg.Device,
		"target":          cfg.Target,
		"sync":            sync,
		"copy-mode":       "write-blocking",
		"on-target-error": "stop",
		"on-source-error": "report",
		"speed":           cfg.Speed,
	}, nil)
	if err != nil {
		return nil, err
	}
	return AdoptMirror(c, cfg.Job), nil
}

// AdoptMirror returns a handle for a job that is running already, such as one
// that was started over an earlier connection.
func AdoptMirror(c *Client, job string) *Mirror { return &Mirror{c: c, job: job} }

// Job returns the job's id.
func (m *Mirror) Job() string { return m.job }

// SetSpeed changes MirrorConfig.Speed. It may be called from another goroutine.
func (m *Mirror) SetSpeed(ctx context.Context, speed int64) error {
	return m.c.Execute(ctx, "block-job-set-speed", map[string]any{"device": m.job, "speed": speed}, nil)
}

// Next takes the oldest of the job's events that was not taken, and waits for one.
func (m *Mirror) Next(ctx context.Context) (JobEvent, error) {
	var je JobEvent
	e, err := m.c.WaitEvent(ctx, "", func(e Event) bool {
		switch e.Name {
		case EventReady, EventError, EventCompleted, EventCancelled:
			je = JobEvent{}
			return e.Decode(&je) == nil && je.Job == m.job
		}
		return false
	})
	if err != nil {
		return JobEvent{}, fmt.Errorf("mirror %s: %w", m.job, err)
	}
	je.Name, je.At = e.Name, e.At
	return je, nil
}

// WaitReady returns when the target has all of the source. It is *JobStopped
// when an error stopped the job (Resume it and wait again), and *JobEnded when
// the job has ended.
func (m *Mirror) WaitReady(ctx context.Context) error {
	for {
		e, err := m.Next(ctx)
		if err != nil {
			return err
		}
		switch e.Name {
		case EventReady:
			return nil
		case EventCompleted, EventCancelled:
			return &JobEnded{Job: m.job, Event: e.Name, Reason: e.Error}
		case EventError:
			// Several requests fail at once, and their events may be older than
			// the last Resume: only the job's present state decides.
			st, err := m.Status(ctx)
			if err != nil {
				return err
			}
			if st.Stopped() {
				return &JobStopped{Job: m.job, Operation: e.Operation, IOStatus: st.IOStatus}
			}
		}
	}
}

// Resume continues a stopped job. What the guest wrote meanwhile is copied in
// no particular order: the target is consistent again at WaitSynced.
func (m *Mirror) Resume(ctx context.Context) error { return m.do(ctx, "block-job-resume", nil) }

// Cancel ends the job; a job that was ready leaves a target that is equal to the
// source at this moment. It waits for the end. A stopped job cannot be
// cancelled, only aborted.
func (m *Mirror) Cancel(ctx context.Context) error { return m.end(ctx, false) }

// Abort ends the job at once, whatever is missing on the target, and waits for
// the end.
func (m *Mirror) Abort(ctx context.Context) error { return m.end(ctx, true) }

func (m *Mirror) end(ctx context.Context, force bool) error {
	if err := m.do(ctx, "block-job-cancel", map[string]any{"force": force}); err != nil {
		return err
	}
	for {
		e, err := m.Next(ctx)
		if err != nil {
			return err
		}
		switch e.Name {
		case EventCancelled:
			return nil
		case EventCompleted:
			if e.Error != "" {
				return &JobEnded{Job: m.job, Event: e.Name, Reason: e.Error}
			}
			return nil
		}
	}
}

func (m *Mirror) do(ctx context.Context, cmd string, args map[string]any) error {
	if args == nil {
		args = map[string]any{}
	}
	args["device"] = m.job
	return m.c.Execute(ctx, cmd, args, nil)
}
