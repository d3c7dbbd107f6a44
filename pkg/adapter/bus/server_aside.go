package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
)

// The server keeps a consumer's description and state in files. One that it cannot
// read is no consumer, and none of its name can be made again; and a description
// with an unknown word stops the whole stream. Both are set aside: a consumer is made
// again by who needs it, and goes on from what the stream still has.
//
// A stream whose description is damaged is not served either. Set aside, the
// description is made again, and the stream's messages are still there.

// asideDir is where damaged files are moved to, in the server's directory.
const asideDir = "set-aside"

// damagedMeta are the descriptions of streams, and the directories of consumers,
// whose checksum is wrong.
func damagedMeta(store string) (out []string, err error) {
	streams, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "*"))
	if err != nil {
		return nil, err
	}
	for _, stream := range streams {
		name := filepath.Base(stream)
		if whole, err := metaWhole(stream, name); err != nil {
			return nil, err
		} else if !whole {
			out = append(out, filepath.Join(stream, server.JetStreamMetaFile))
		}
		consumers, err := filepath.Glob(filepath.Join(stream, "obs", "*"))
		if err != nil {
			return nil, err
		}
		for _, c := range consumers {
			if whole, err := metaWhole(c, name+"/"+filepath.Base(c)); err != nil {
				return nil, err
			} else if !whole {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// metaWhole reports whether a description fits its checksum. One that is missing, as
// after a crash, does not.
func metaWhole(dir, name string) (bool, error) {
	meta, err := os.ReadFile(filepath.Join(dir, server.JetStreamMetaFile))
	sum, serr := os.ReadFile(filepath.Join(dir, server.JetStreamMetaFileSum))
	switch err := errors.Join(err, serr); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return false, err
	}
	_, _ = h.Write(meta) // never fails
	return hex.EncodeToString(h.Sum(nil)) == string(sum), nil
}

// unloaded are the directories of consumers that a running server did not load, of
// the streams that it serves.
func unloaded(ns *server.Server, store string) (out []string, err error) {
	// The files first: a consumer that is made meanwhile is no reason to move them.
	dirs, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "*", "obs", "*"))
	if err != nil {
		return nil, err
	}
	j, err := ns.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true})
	if err != nil {
		return nil, err
	}
	for _, a := range j.AccountDetails {
		for _, s := range a.Streams {
			obs := filepath.Join(store, "jetstream", a.Name, "streams", s.Name, "obs")
			for _, d := range dirs {
				if filepath.Dir(d) == obs && !slices.ContainsFunc(s.Consumer, func(c *server.ConsumerInfo) bool { return c.Name == filepath.Base(d) }) {
					out = append(out, d)
				}
			}
		}
	}
	return out, nil
}

// setAside moves damaged files out of the server's way. Nobody needs them, but
// somebody may want to look at them.
func setAside(store string, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	to := filepath.Join(store, asideDir, time.Now().UTC().Format("20060102T150405.000"))
	for _, p := range paths {
		rel, err := filepath.Rel(store, p)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o700)
		}
		if err == nil {
			err = os.Rename(p, filepath.Join(to, rel))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &cdp.Error{Op: "set damaged file aside", Kind: cdp.KindOf(err), Subject: p, Cause: err}
		}
	}
	return nil
}
