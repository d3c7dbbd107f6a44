package qmp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// JobStatus is a block job as query-block-jobs reports it.
type JobStatus struct {
	Job      string `json:"device"`
	Len      int64  `json:"len"`       // bytes to copy in all
	Offset   int64  `json:"offset"`    // bytes copied; 0 <= Offset <= Len
	Ready    bool   `json:"ready"`     // was ready once
	Paused   bool   `json:"paused"`    // by a user or by an error
	IOStatus string `json:"io-status"` // "ok", "failed" or "nospace"
	Status   string `json:"status"`    // "running", "ready", "paused", "standby" ...
}

// Stopped reports whether an error stopped the job until a Resume.
func (s JobStatus) Stopped() bool { return s.IOStatus != "ok" }

// Synced reports whether every byte the guest wrote is on the target. Under load a
// write in flight makes it false for a moment.
func (s JobStatus) Synced() bool {
	return s.Ready && !s.Paused && !s.Stopped() && s.Offset == s.Len
}

// JobStopped is a job that an error stopped and that Resume can continue.
type JobStopped struct {
	Job       string
	Operation string // "read" or "write"; empty when not known
	IOStatus  string // "failed" or "nospace"
}

func (e *JobStopped) Error() string {
	return fmt.Sprintf("qmp: mirror %s: stopped by a %s error (%s); resume it when the target is back", e.Job, e.Operation, e.IOStatus)
}

// JobEnded is a job that has ended.
type JobEnded struct {
	Job    string
	Event  string // EventCompleted or EventCancelled; empty when it was not seen
	Reason string // QEMU's words; empty when it did not fail
}

func (e *JobEnded) Error() string {
	return fmt.Sprintf("qmp: mirror %s: ended (%s): %s", e.Job, e.Event, e.Reason)
}

// Status returns the job as it is now, or *JobEnded when there is no such job.
func (m *Mirror) Status(ctx context.Context) (JobStatus, error) {
	var jobs []JobStatus
	if err := m.c.Execute(ctx, "query-block-jobs", nil, &jobs); err != nil {
		return JobStatus{}, err
	}
	for _, j := range jobs {
		if j.Job == m.job {
			return j, nil
		}
	}
	return JobStatus{}, &JobEnded{Job: m.job, Reason: "QEMU has no such job"}
}

// WaitSynced polls until the target has everything again after a Resume: QEMU
// sends EventReady only once in a job's life. Errors are those of WaitReady.
func (m *Mirror) WaitSynced(ctx context.Context) error {
	// Twice, with a pause: the counters of a stopped job do not change, and may stay
	// so for a moment after Resume.
	for synced := 0; ; {
		st, err := m.Status(ctx)
		switch {
		case err != nil:
			return err
		case !st.Synced():
			synced = 0
		default:
			synced++
		}
		switch {
		case synced == 2:
			return nil
		case st.Stopped():
			return &JobStopped{Job: m.job, IOStatus: st.IOStatus}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("qmp: mirror %s: wait until synced: %w", m.job, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Recover resumes a stopped job until the target has everything again, or ctx
// ends, or the job does. One Resume is not enough: after ReconnectDelay QEMU
// looks for a lost NBD server in growing pauses of up to 16 seconds, and until it
// has found it every request fails at once and stops the job again.
func (m *Mirror) Recover(ctx context.Context) error {
	for {
		if err := m.Resume(ctx); err != nil {
			return err
		}
		var stopped *JobStopped
		if err := m.WaitSynced(ctx); !errors.As(err, &stopped) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last seen: %w)", ctx.Err(), stopped)
		case <-time.After(250 * time.Millisecond):
		}
	}
}
