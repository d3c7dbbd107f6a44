// Package auditlog keeps what a site's services were asked in files that only grow, each
// record chained to the one before it. The services write them themselves: nothing that
// is done to the bus, with whatever password, reaches them.
//
// A log is a directory of files NUMBER-DAY.log, in the order of their numbers. The first
// line of a file is "after " and the hash of the last record of the file before, or
// Origin. Each further line is a record: its hash, a space, and the record as JSON. The
// hash is the SHA-256 of the hash before it, a space and that JSON, as 64 hexadecimal
// digits.
package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

const (
	// fileBytes is from which size on a new file is begun.
	fileBytes = 4 << 20
	// longest is the longest line.
	longest = 64 << 10
)

// Origin is the hash that the first record of a log follows.
var Origin = strings.Repeat("0", 2*sha256.Size)

// Log is a log that records are added to. Several processes may add to one.
type Log struct {
	// Dir is made with the first record.
	Dir string
	// Most is how many bytes the files may have together; more than 8 MiB. The oldest files
	// make way for new ones, whatever a clock says: a clock can be set.
	Most int64
}

// Append adds a record. It is on the disk when Append returns. Full: the disk is;
// Transient: it cannot be written now.
func (l Log) Append(r api.AuditRecord) error {
	line, err := json.Marshal(r)
	if len(line) > longest-100 {
		err = fmt.Errorf("it has %d bytes: too many", len(line))
	}
	if err == nil {
		err = l.locked(unix.LOCK_EX, func(files []file) error { return l.append(files, line, r.At) })
	}
	if err == nil {
		return nil
	}
	kind := cdp.Transient
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		kind = cdp.Full
	}
	return &cdp.Error{Op: "keep a record", Kind: kind, Subject: l.Dir, Cause: err}
}

// locked calls fn with the log's files, oldest first, while nobody else adds to it (how:
// LOCK_SH) or looks at it either (LOCK_EX).
func (l Log) locked(how int, fn func([]file) error) error {
	if how == unix.LOCK_EX {
		if err := os.MkdirAll(l.Dir, 0o700); err != nil {
			return err
		}
	}
	dir, err := os.Open(l.Dir)
	if err != nil {
		return err
	}
	defer dir.Close() // which unlocks it
	for {
		if err = unix.Flock(int(dir.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	var files []file
	for _, name := range names {
		if f, ok := parse(name); ok {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b file) int { return a.no - b.no })
	return fn(files)
}

// file is one of a log.
type file struct {
	no  int
	day string // as time.DateOnly
}

func (f file) name() string { return fmt.Sprintf("%06d-%s.log", f.no, f.day) }

func parse(name string) (f file, ok bool) {
	no, day, ok := strings.Cut(strings.TrimSuffix(name, ".log"), "-")
	if !ok {
		return f, false
	}
	n, err := strconv.Atoi(no)
	f = file{n, day}
	return f, err == nil && n > 0 && f.name() == name
}

// append adds a line to the newest file, or begins another. A day that is over does not
// come again: a clock that is set back begins no file.
func (l Log) append(files []file, line []byte, at time.Time) error {
	prev, today := Origin, at.UTC().Format(time.DateOnly)
	next := file{1, today}
	if len(files) > 0 {
		last := files[len(files)-1]
		f, err := os.OpenFile(filepath.Join(l.Dir, last.name()), os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		var size int64
		if prev, size, err = tail(f); err != nil {
			return err
		}
		if prev != "" && today <= last.day && size < fileBytes {
			return write(f, chained(prev, line))
		}
		if prev == "" { // the chain is broken there, for whoever reads it
			prev = Origin
		}
		next = file{last.no + 1, max(today, last.day)}
	}
	f, err := os.OpenFile(filepath.Join(l.Dir, next.name()), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	// In one piece: a file without its first line would follow nothing.
	if err := write(f, after+prev+"\n"+chained(prev, line)); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(l.Dir)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	return errors.Join(err, l.makeRoom(files))
}

const after = "after "

func chained(prev string, line []byte) string { return hash(prev, line) + " " + string(line) + "\n" }

func hash(prev string, line []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s", prev, line) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

func write(f *os.File, text string) error {
	_, err := f.WriteString(text)
	return errors.Join(err, unix.Fdatasync(int(f.Fd())))
}

// tail is the hash that the next record of a file follows, empty if the file's end is
// damaged, and the file's size. What a crash left of a record that was never reported as
// kept is cut off.
func tail(f *os.File) (prev string, size int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	from := max(0, st.Size()-2*longest)
	end := make([]byte, st.Size()-from)
	if _, err := f.ReadAt(end, from); err != nil && !errors.Is(err, io.EOF) {
		return "", 0, err
	}
	whole := strings.LastIndexByte(string(end), '\n') + 1
	if whole == 0 {
		return "", 0, nil
	}
	size = from + int64(whole)
	if size < st.Size() {
		if err := f.Truncate(size); err != nil {
			return "", 0, err
		}
	}
	last := string(end[:whole-1])
	last = last[strings.LastIndexByte(last, '\n')+1:]
	if prev, _, _ = strings.Cut(strings.TrimPrefix(last, after), " "); !isHash(prev) {
		return "", 0, nil
	}
	return prev, size, nil
}

func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size
}

// makeRoom removes the oldest files while there is more than fits beside a full new one.
func (l Log) makeRoom(files []file) error {
	sizes, all := make([]int64, len(files)), int64(fileBytes+longest)
	for i, f := range files {
		st, err := os.Stat(filepath.Join(l.Dir, f.name()))
		if err != nil {
			return err
		}
		sizes[i] = st.Size()
		all += sizes[i]
	}
	for i, f := range files {
		if all <= l.Most {
			return nil
		}
		if err := os.Remove(filepath.Join(l.Dir, f.name())); err != nil {
			return err
		}
		all -= sizes[i]
	}
	return nil
}
