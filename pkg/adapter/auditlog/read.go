package auditlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Proof is what a log shows.
type Proof struct {
	Dir     string    `json:"dir"`
	Records int       `json:"records"`
	From    time.Time `json:"from,omitzero"` // the time that the oldest record says
	To      time.Time `json:"to,omitzero"`   // and the newest
	// Gone is how many files were there before the oldest: they have made way.
	Gone int `json:"gone"`
	// Head is the hash of the newest record. Kept elsewhere, it later proves that nothing
	// up to it was changed.
	Head string `json:"head"`
	// Holds: the hash that was asked for is in the chain, or none was asked for.
	Holds bool `json:"holds"`
	// Problem is where the chain is broken; empty: nowhere.
	Problem string `json:"problem,omitempty"`
}

// Proven reports whether the log is whole, as far as it shows.
func (p Proof) Proven() bool { return p.Problem == "" && p.Holds }

// Verify follows the chain of a log, and looks for a hash that somebody has kept; empty:
// for none. What is wrong with the log is in the proof. NotFound: there is none.
func Verify(dir, holds string) (Proof, error) {
	p := Proof{Dir: dir, Head: Origin, Holds: holds == "" || holds == Origin}
	err := Read(dir, Reading{
		Gone: func(files int) { p.Gone = files },
		Record: func(hash string, r api.AuditRecord) error {
			if p.Records++; p.Records == 1 {
				p.From = r.At
			}
			p.To, p.Head = r.At, hash
			p.Holds = p.Holds || hash == holds && p.Problem == ""
			return nil
		},
		Broken: func(err error) {
			if p.Problem == "" {
				p.Problem = err.Error()
			}
		},
	})
	return p, err
}

// Reading is told what is in a log. Only Record must be set.
type Reading struct {
	// Record gets each record that is as it was written, oldest first, and its hash. An
	// error ends the reading.
	Record func(hash string, r api.AuditRecord) error
	// Broken is told each place where the chain does not go on: Corrupt.
	Broken func(error)
	// Gone is told, first, how many files have made way.
	Gone func(files int)
}

// Read reads a log. NotFound: there is none.
func Read(dir string, to Reading) error {
	const op = "read records"
	if to.Broken == nil {
		to.Broken = func(error) {}
	}
	err := Log{Dir: dir}.locked(unix.LOCK_SH, func(files []file) error {
		c := chain{Reading: to, prev: Origin}
		for i, f := range files {
			c.path, c.newest = filepath.Join(dir, f.name()), i == len(files)-1
			if i == 0 && to.Gone != nil {
				to.Gone(f.no - 1)
			}
			if c.any = i == 0 && f.no > 1; i > 0 && f.no != files[i-1].no+1 {
				c.any = true
				to.Broken(cdp.Errorf(cdp.Corrupt, op, c.path, "the file before it is not there"))
			}
			if err := c.read(); err != nil {
				return err
			}
		}
		return nil
	})
	var known *cdp.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &cdp.Error{Op: op, Kind: cdp.NotFound, Subject: dir, Cause: err}
	}
	return &cdp.Error{Op: op, Kind: cdp.Transient, Subject: dir, Cause: err}
}

// chain reads the files of a log one after the other.
type chain struct {
	Reading
	path   string
	prev   string // the hash of the last record
	any    bool   // the file may follow any hash, for the one before it is not there
	newest bool   // an unfinished last line is what a crash left
}

func (c *chain) broken(no int, what string) {
	c.Broken(cdp.Errorf(cdp.Corrupt, "read records", c.path, "line %d %s", no, what))
}

func (c *chain) read() error {
	f, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, longest)
	for no := 1; ; no++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && no > 1 && (c.newest || len(line) == 0):
			return nil
		case errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull):
			c.broken(no, "is not one: nothing that follows it in the file can be read")
			return nil
		case err != nil:
			return err
		}
		text := string(line[:len(line)-1])
		if no == 1 {
			follows, ok := cutAfter(text)
			if !ok || !c.any && follows != c.prev {
				c.broken(no, "does not follow what is before it")
			}
			if ok {
				c.prev = follows
			}
			continue
		}
		if err := c.record(no, text); err != nil {
			return err
		}
	}
}

// record reads a line.
func (c *chain) record(no int, text string) error {
	const digits = 64
	if len(text) < digits+1 || text[digits] != ' ' || !isHash(text[:digits]) {
		c.broken(no, "is no record")
		return nil
	}
	prev := c.prev
	c.prev = text[:digits]
	var r api.AuditRecord
	switch err := json.Unmarshal([]byte(text[digits+1:]), &r); {
	case hash(prev, []byte(text[digits+1:])) != c.prev:
		c.broken(no, "does not follow the line before it: it was changed, or one before it was changed or removed")
	case err != nil:
		c.broken(no, "is no record: "+err.Error())
	default:
		return c.Record(c.prev, r)
	}
	return nil
}

func cutAfter(text string) (string, bool) {
	if len(text) <= len(after) || text[:len(after)] != after {
		return "", false
	}
	h := text[len(after):]
	return h, isHash(h)
}

// Below are the logs in a directory of Tidemark, of a site, or of records.
func Below(dir string) (logs []string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, &cdp.Error{Op: "find records", Kind: cdp.Invalid, Subject: dir, Cause: err}
	}
	for _, pattern := range []string{"*.log", "*/*.log", "audit/*/*.log", "*/audit/*/*.log"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, &cdp.Error{Op: "find records", Kind: cdp.Invalid, Subject: dir, Cause: err}
		}
		for _, path := range found {
			_, ok := parse(filepath.Base(path))
			if at := filepath.Dir(path); ok && (len(logs) == 0 || logs[len(logs)-1] != at) {
				logs = append(logs, at)
			}
		}
	}
	return logs, nil
}
