package vcenter

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// Keys of the records.
const (
	keyMember = "member." // and a group: an inventory.Member
	keyJob    = "job."    // and a job on VMs: a jobRecord
	keyRun    = "run."    // and a group: a runRecord
	keyFence  = "fence."  // and a group: a fenceRecord
	keyChange = "change." // and an id: a completed change of an I/O filter
	keyDeploy = "deploy." // and a transporter: a deployRecord

	keyRecipes = "recipes" // the key of the hashes in recipes
)

// record is a value in Records.
type record[T any] struct {
	Value T

	in  Records
	key string
	rev uint64 // 0 until it is saved
}

// load reads a record. One that does not exist is the zero value.
func load[T any](ctx context.Context, in Records, key string) (*record[T], error) {
	r := &record[T]{in: in, key: key}
	raw, rev, err := in.Get(ctx, key)
	if cdp.Is(err, cdp.NotFound) {
		return r, nil
	}
	if err != nil {
		return nil, cdp.Wrap(err, "read record", key)
	}
	r.rev = rev
	if err := r.decode(raw); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *record[T]) decode(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &r.Value); err != nil {
		return &cdp.Error{Op: "read record", Kind: cdp.Corrupt, Subject: r.key, Cause: err}
	}
	return nil
}

func (r *record[T]) exists() bool { return r.rev != 0 }

// save writes the record. Transient: another process changed it; read it again.
func (r *record[T]) save(ctx context.Context) error {
	raw, err := json.Marshal(r.Value)
	if err != nil {
		return &cdp.Error{Op: "write record", Kind: cdp.Internal, Subject: r.key, Cause: err}
	}
	rev, err := r.in.Put(ctx, r.key, raw, r.rev)
	if err != nil {
		if cdp.Is(err, cdp.Conflict) {
			return cdp.Errorf(cdp.Transient, "write record", r.key, "another process changed it")
		}
		return cdp.Wrap(err, "write record", r.key)
	}
	r.rev = rev
	return nil
}

// drop deletes the record.
func (r *record[T]) drop(ctx context.Context) error {
	if !r.exists() {
		return nil
	}
	if err := r.in.Delete(ctx, r.key); err != nil {
		return cdp.Wrap(err, "delete record", r.key)
	}
	var zero T
	r.Value, r.rev = zero, 0
	return nil
}

// member is the record of a protected VM.
type member = record[inventory.Member]

// members are those of a job, or of all jobs, sorted by group. It is Corrupt if the
// record of any of them cannot be read: for what must know them all.
func members(ctx context.Context, in Records, job string) ([]*member, error) {
	all, bad, err := readable(ctx, in, job)
	for _, why := range bad {
		err = errors.Join(err, why)
	}
	return all, err
}

// readable are the members of a job, or of all jobs, whose records can be read, sorted by
// group, and by group why others of any job cannot.
func readable(ctx context.Context, in Records, job string) (all []*member, bad map[string]error, err error) {
	records, err := in.List(ctx, keyMember)
	if err != nil {
		return nil, nil, cdp.Wrap(err, "list records", keyMember)
	}
	bad = map[string]error{}
	for _, r := range records {
		m := &member{in: in, key: r.Key, rev: r.Revision}
		if err := m.decode(r.Value); err != nil {
			bad[strings.TrimPrefix(r.Key, keyMember)] = err
		} else if job == "" || m.Value.Job == job {
			all = append(all, m)
		}
	}
	return all, bad, nil
}

// unreadable are the groups of a job whose records cannot be read. The job of a group,
// which the scheduler keeps, says which job and VM it belongs to; one that is being
// prepared has none yet, and is known by its name.
func (s *jobControl) unreadable(ctx context.Context, job string, bad map[string]error) (map[string]badMember, error) {
	out := map[string]badMember{}
	if len(bad) == 0 {
		return out, nil
	}
	groups, err := s.groups.List(ctx)
	if err != nil {
		return nil, err
	}
	for group, why := range bad {
		i := slices.IndexFunc(groups, func(g spec.ReplicationJob) bool { return g.Name == group })
		switch {
		case i >= 0 && groups[i].Of == job:
			out[group] = badMember{vm: groups[i].Source.VM, why: why}
		case i < 0 && strings.HasPrefix(group, job+"-"):
			out[group] = badMember{why: why}
		}
	}
	return out, nil
}

// badMember is a member whose record cannot be read.
type badMember struct {
	vm  string // instance UUID; empty: not known
	why error
}

func (m badMember) text() string {
	return m.why.Error() + ": its replica and its replication stay as they are"
}
