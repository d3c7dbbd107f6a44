package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"path/filepath"

	"tidemark.dev/pkg/adapter/auditlog"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

const (
	// auditDir is the folder, in the site's own directory, with a log for each site.
	auditDir = "audit"
	// auditBytes bounds each log.
	auditBytes = 128 << 20
)

// keepRecords keeps the records of a peer in files until ctx ends: its copy on the bus is
// in the hands of whoever has the password of set-up.
func keepRecords(ctx context.Context, e *env, conn *bus.Conn, peer cdp.Site) error {
	log := e.records(peer)
	has, err := keysOf(log)
	if err != nil {
		return err
	}
	return conn.FollowAudit(ctx, peer, func(r api.AuditRecord) error {
		key := recordKey(r)
		if has[key] {
			return nil
		}
		if len(has) >= mostKeys {
			if has, err = keysOf(log); err != nil {
				return err
			}
		}
		if err := log.Append(r); err != nil {
			return err
		}
		has[key] = true
		return nil
	})
}

// mostKeys bounds what is known of a peer's records in memory. A log has fewer.
const mostKeys = 1 << 20

// keysOf are the keys of what a log has.
func keysOf(log auditlog.Log) (map[uint64]bool, error) {
	has := map[uint64]bool{}
	err := auditlog.Read(log.Dir, auditlog.Reading{Record: func(_ string, r api.AuditRecord) error {
		has[recordKey(r)] = true
		return nil
	}})
	if cdp.Is(err, cdp.NotFound) {
		err = nil
	}
	return has, err
}

// recordKey tells records apart. A peer that looks for two with one key loses its own.
func recordKey(r api.AuditRecord) uint64 {
	text, _ := json.Marshal(r) // a struct of strings
	sum := sha256.Sum256(text)
	return binary.LittleEndian.Uint64(sum[:])
}

// KeptRecords calls fn with what a site was asked, as the files below dir have it, oldest
// first. dir is the directory of Tidemark or of one site; of is the site, or empty: the
// one whose directory it is. broken is told of each place where somebody changed a file.
func KeptRecords(dir string, of cdp.Site, fn func(api.AuditRecord) error, broken func(error)) error {
	logs, err := recordsBelow(dir, of)
	for _, at := range logs {
		if err == nil {
			err = auditlog.Read(at, auditlog.Reading{Record: func(_ string, r api.AuditRecord) error { return fn(r) }, Broken: broken})
		}
	}
	return err
}

// VerifyRecords proves the logs below dir, and that one of them has the record with the
// hash holds; empty: no certain one.
func VerifyRecords(dir, holds string) ([]auditlog.Proof, error) {
	logs, err := auditlog.Below(dir)
	if err == nil && len(logs) == 0 {
		err = noRecords(dir)
	}
	var out []auditlog.Proof
	held := false
	for _, at := range logs {
		p, err := auditlog.Verify(at, holds)
		if err != nil {
			return nil, err
		}
		held = held || p.Holds
		out = append(out, p)
	}
	for i := range out {
		out[i].Holds = held // the hash is in one of them
	}
	return out, err
}

func noRecords(dir string) error {
	return cdp.Errorf(cdp.NotFound, "find records", dir, "there are none below it").
		WithHint("name the directory of tidemark up or serve, such as /var/lib/tidemark, at the machine that was asked")
}

// recordsBelow are the logs about a site; empty: each site's own.
func recordsBelow(dir string, of cdp.Site) (out []string, err error) {
	all, err := auditlog.Below(dir)
	for _, at := range all {
		about, keeper := filepath.Base(at), filepath.Base(filepath.Dir(filepath.Dir(at)))
		if of == "" && about == keeper || of != "" && about == string(of) {
			out = append(out, at)
		}
	}
	if err == nil && len(out) == 0 {
		err = noRecords(dir)
	}
	return out, err
}
