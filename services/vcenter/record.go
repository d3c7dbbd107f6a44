package vcenter

import (
	"context"
	"encoding/json"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Keys of records: member.<group> is a inventory.Member, job.<job> a jobRecord,
// run.<group> a runRecord, change.<id> a done change of an I/O filter,
// deploy.<name> a deployRecord; recipes is the key of the hashes in recipes.
const (
	keyMember = "member."
	keyJob    = "job."
	keyRun    = "run."
	keyChange = "change."
	keyDeploy = "deploy."

	keyRecipes = "recipes"
)

// kept is a value of the records with its revision, 0 when it is not there yet.
type kept[T any] struct {
	Value T
	key   string
	rev   uint64
}

// load reads a record; one that is not there is the zero value.
func load[T any](ctx context.Context, s *Service, key string) (*kept[T], error) {
	k := &kept[T]{key: key}
	raw, rev, err := s.deps.Records.Get(ctx, key)
	if cdp.Is(err, cdp.NotFound) {
		return k, nil
	}
	if err != nil {
		return nil, cdp.Wrap(err, "read record", key)
	}
	k.rev = rev
	if err := k.decode(raw); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *kept[T]) decode(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &k.Value); err != nil {
		return &cdp.Error{Op: "read record", Kind: cdp.Corrupt, Subject: k.key, Cause: err}
	}
	return nil
}

// exists says whether it is in the records.
func (k *kept[T]) exists() bool { return k.rev != 0 }

// save writes it. Conflict: another process changed it; look again.
func (k *kept[T]) save(ctx context.Context, s *Service) error {
	raw, err := json.Marshal(k.Value)
	if err != nil {
		return &cdp.Error{Op: "write record", Kind: cdp.Internal, Subject: k.key, Cause: err}
	}
	rev, err := s.deps.Records.Put(ctx, k.key, raw, k.rev)
	if err != nil {
		if cdp.Is(err, cdp.Conflict) {
			return cdp.Errorf(cdp.Transient, "write record", k.key, "it was changed meanwhile")
		}
		return cdp.Wrap(err, "write record", k.key)
	}
	k.rev = rev
	return nil
}

// drop deletes it.
func (k *kept[T]) drop(ctx context.Context, s *Service) error {
	if !k.exists() {
		return nil
	}
	if err := s.deps.Records.Delete(ctx, k.key); err != nil {
		return cdp.Wrap(err, "delete record", k.key)
	}
	var zero T
	k.Value, k.rev = zero, 0
	return nil
}

// member is the record of a VM that is protected.
type member = kept[inventory.Member]

// members are those of a job, or of all; by key, which is by group.
func (s *Service) members(ctx context.Context, job string) ([]*member, error) {
	all, err := s.deps.Records.List(ctx, keyMember)
	if err != nil {
		return nil, cdp.Wrap(err, "list records", keyMember)
	}
	var out []*member
	for _, r := range all {
		m := &member{key: r.Key, rev: r.Revision}
		if err := m.decode(r.Value); err != nil {
			return nil, err
		}
		if job == "" || m.Value.Job == job {
			out = append(out, m)
		}
	}
	return out, nil
}
