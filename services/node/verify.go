package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/services/journal"
)

// Verified is a journal with what it proves.
type Verified struct {
	Job   string `json:"job"`
	Store string `json:"store"` // its directory
	// Keys are those that count as its source's.
	Keys []string `json:"keys"`
	vault.Proof
	// Problem is why it is not proven; empty: it is.
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Verify proves the journals below dir, which may be the directory of `tidemark up`, of a
// site, of a journal service, or a copy of one; no service may be running there. Nothing
// is changed. jobs are those that are wanted; none: all. keys are the public keys of the
// source; none: those that the journal service has bound to its source sites.
func Verify(dir string, jobs, keys []string) ([]Verified, error) {
	const op = "verify journals"
	var given []frame.PublicKey
	for _, k := range keys {
		key, err := frame.ParsePublicKey(k)
		if err != nil {
			return nil, cdp.Wrap(err, op, "").(*cdp.Error).WithHint("the source has it in its directory, in capture/signing.pub")
		}
		given = append(given, key)
	}
	stores, err := storesBelow(dir)
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: dir, Cause: err}
	}
	var out []Verified
	found := map[string]bool{}
	for _, at := range stores {
		job := filepath.Base(at)
		if len(jobs) > 0 && !slices.Contains(jobs, job) {
			continue
		}
		found[job] = true
		out = append(out, verify(at, given))
	}
	for _, job := range jobs {
		if !found[job] {
			return nil, noJournal(op, job, dir)
		}
	}
	if len(out) == 0 {
		return nil, noJournal(op, "", dir)
	}
	return out, nil
}

func noJournal(op, job, dir string) error {
	return cdp.Errorf(cdp.NotFound, op, job, "there is no such journal below %s", dir).
		WithHint("name the directory of the site that is the job's target, or a copy of it")
}

// storesBelow are the directories of the journals' stores below dir.
func storesBelow(dir string) (out []string, err error) {
	for _, pattern := range []string{"store/*", "journal/store/*", "*/journal/store/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, at := range found {
			if st, err := os.Stat(at); err == nil && st.IsDir() && cdp.CheckName("job", filepath.Base(at)) == nil {
				out = append(out, at)
			}
		}
	}
	return out, nil
}

// verify proves one journal.
func verify(store string, keys []frame.PublicKey) Verified {
	v := Verified{Job: filepath.Base(store), Store: store, Keys: []string{}}
	var err error
	if len(keys) == 0 {
		keys, err = boundKeys(filepath.Join(filepath.Dir(filepath.Dir(store)), "signers"))
	}
	for _, k := range keys {
		v.Keys = append(v.Keys, k.String())
	}
	if err == nil {
		id := cdp.GroupID(v.Job)
		err = pebblestore.Read(filepath.Dir(store), id, func(e vault.Evidence) (err error) {
			v.Proof, err = vault.Prove(e, id, keys)
			return err
		})
	}
	if err == nil {
		err = v.Proof.Err()
	}
	if err != nil {
		v.Problem, v.Hint = err.Error(), cdp.HintOf(err)
	}
	return v
}

// boundKeys are the keys of all source sites of a journal service.
func boundKeys(dir string) (keys []frame.PublicKey, err error) {
	files, err := filepath.Glob(journal.SignersFile(dir, "*"))
	for _, path := range files {
		site, _, _ := strings.Cut(filepath.Base(path), ".")
		of, err := journal.ReadSigners(dir, cdp.Site(site))
		if err != nil {
			return nil, err
		}
		keys = append(keys, of...)
	}
	return keys, err
}
