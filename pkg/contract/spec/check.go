package spec

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
)

// checker collects what is wrong with one document. A field that the schema
// refused already is not reported twice.
type checker struct{ problems []Problem }

func (c *checker) bad(path, rule, format string, args ...any) {
	p := Problem{Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)}
	i := slices.IndexFunc(c.problems, func(p Problem) bool { return p.Path == path })
	switch {
	case i < 0:
		c.problems = append(c.problems, p)
	case c.problems[i].Rule == "false" || c.problems[i].Text == "'not' failed":
		c.problems[i] = p // the schema only knows that it must not be there
	}
}

// reword replaces the text of what the schema refused by a rule.
func (c *checker) reword(path, rule, has, format string, args ...any) {
	for i, p := range c.problems {
		if p.Path == path && p.Rule == rule && strings.Contains(p.Text, has) {
			c.problems[i].Text = fmt.Sprintf(format, args...)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

type metadata struct {
	Name string `json:"name"`
}

// rawJob is a ReplicationJob as it is written.
type rawJob struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Source struct {
			Site    cdp.Site        `json:"site"`
			Capture cdp.CaptureMode `json:"capture"`
			Disks   []struct {
				Name string          `json:"name"`
				Path string          `json:"path"`
				Size json.RawMessage `json:"size"`
			} `json:"disks"`
			Listen string `json:"listen"`
			rawVMs
		} `json:"source"`
		Target struct {
			Site  cdp.Site        `json:"site"`
			Disks []rawTargetDisk `json:"disks"`
			rawPlace
		} `json:"target"`
		Checks           rawChecks `json:"checks"`
		RPO              string    `json:"rpo"`
		FailIfRPOExceeds string    `json:"failIfRpoExceeds"`
		Journal          struct {
			Mode       cdp.JournalMode `json:"mode"`
			History    string          `json:"history"`
			Size       json.RawMessage `json:"size"`
			MergeEvery string          `json:"mergeEvery"`
			Lock       string          `json:"lock"`
		} `json:"journal"`
		Failover struct {
			CommitPolicy recovery.Policy `json:"commitPolicy"`
			CommitWindow string          `json:"commitWindow"`
			Scratch      json.RawMessage `json:"scratch"`
		} `json:"failover"`
		// Of is set in jobs that the vcenter service derived.
		Of string `json:"of"`
		// Reverses is set by the scheduler.
		Reverses *Reverses `json:"reverses"`
	} `json:"spec"`
}

// rawTargetDisk is a replica of a disk, or where a VM's disk is put.
type rawTargetDisk struct {
	TargetDisk
	inventory.DiskPlace
}

// job reads a job, of disks or of VMs, into o.
func (c *checker) job(doc []byte, o *Object) {
	var raw rawJob
	_ = json.Unmarshal(doc, &raw) // a field of the wrong type was refused by the schema, the rest is read
	if raw.Spec.Of != "" {
		c.bad("/spec/of", "internal", "the job was derived for a VM of the job %s: apply that job instead", raw.Spec.Of)
	}
	if raw.Spec.Source.VMs != nil {
		o.VMJob = c.vmJob(raw)
		return
	}
	j := &ReplicationJob{Name: raw.Metadata.Name}
	c.source(raw, j)
	c.target(raw, j)
	j.Journal = c.journal(raw)
	j.Failover = c.failover(raw)
	j.RPO, j.FailIfRPOExceeds = c.rpo(raw, DefaultRPO, MinRPO, "")
	j.Reverses = raw.Spec.Reverses
	c.reverses(j)
	c.onlyVMs(raw)
	o.Job = j
}

// rpo reads the objective; why is the reason for the least value.
func (c *checker) rpo(raw rawJob, def, least time.Duration, why string) (rpo, fail Duration) {
	rpo = c.duration("/spec/rpo", raw.Spec.RPO, Duration(def))
	switch {
	case rpo.Std() < MinRPO || rpo.Std() > MaxRPO:
		c.bad("/spec/rpo", "range", "%s: must be from %s to %s", rpo, Duration(least), Duration(MaxRPO))
	case rpo.Std() < least:
		c.bad("/spec/rpo", "range", "%s: must be at least %s%s", rpo, Duration(least), why)
	}
	fail = c.duration("/spec/failIfRpoExceeds", raw.Spec.FailIfRPOExceeds, 0)
	if raw.Spec.FailIfRPOExceeds != "" && fail < rpo {
		c.bad("/spec/failIfRpoExceeds", "range", "%s: must be at least the rpo, %s", fail, rpo)
	}
	return rpo, fail
}

func (c *checker) source(raw rawJob, j *ReplicationJob) {
	in := raw.Spec.Source
	j.Source = Source{Site: in.Site, Capture: in.Capture, Listen: in.Listen}
	c.reword("/spec/source", "required", "'disks'", "no disks given: use disks, or vms of a site of kind vsphere")
	if in.Capture == cdp.CBT {
		c.reword("/spec/source/capture", "enum", "", "cbt needs a vCenter, so it is for vms only: for disks use inline or tap")
	}
	names, paths := map[string]int{}, map[string]int{}
	for i, d := range in.Disks {
		at := "/spec/source/disks/" + itoa(i)
		c.unique(at+"/name", d.Name, names, i)
		c.path(at+"/path", d.Path, paths, i)
		size := c.size(at+"/size", d.Size)
		switch {
		case d.Path == "" && in.Capture == cdp.Inline:
			c.bad(at+"/path", "required", "a path is required: with capture inline the export is backed by the disk")
		case d.Path == "" && len(d.Size) == 0:
			c.bad(at+"/size", "required", "a size is required if there is no path")
		case len(d.Size) > 0 && (size == 0 || size%cdp.SectorSize != 0):
			c.bad(at+"/size", "multiple", "%d bytes: must be a multiple of %d, and not 0", int64(size), cdp.SectorSize)
		}
		j.Source.Disks = append(j.Source.Disks, SourceDisk{Name: d.Name, Path: d.Path, Size: size})
	}
	if in.Listen != "" {
		if err := CheckListen(in.Listen); err != nil {
			c.bad("/spec/source/listen", "address", "%s", err)
		}
	}
}

func (c *checker) target(raw rawJob, j *ReplicationJob) {
	in := raw.Spec.Target
	j.Target.Site = in.Site
	names, paths := map[string]int{}, map[string]int{}
	for i, d := range in.Disks {
		at := "/spec/target/disks/" + itoa(i)
		c.unique(at+"/name", d.Name, names, i)
		c.path(at+"/path", d.Path, paths, i)
		at2 := slices.IndexFunc(j.Source.Disks, func(s SourceDisk) bool { return s.Name == d.Name })
		switch {
		case d.Name != "" && at2 < 0:
			c.bad(at+"/name", "reference", "the source has no disk %q", d.Name)
		case at2 >= 0 && d.Path != "" && in.Site == j.Source.Site && slices.ContainsFunc(j.Source.Disks, func(s SourceDisk) bool { return s.Path == d.Path }):
			c.bad(at+"/path", "unique", "%s is a disk of the source, at the same site", d.Path)
		}
	}
	for _, s := range j.Source.Disks {
		if i, ok := names[s.Name]; ok {
			j.Target.Disks = append(j.Target.Disks, in.Disks[i].TargetDisk)
		} else if s.Name != "" && len(in.Disks) > 0 {
			c.problems = append(c.problems, Problem{Path: "/spec/target/disks", Rule: "reference", Text: fmt.Sprintf("the disk %q has no replica", s.Name)})
		}
	}
}

func (c *checker) journal(raw rawJob) Journal {
	in := raw.Spec.Journal
	out := Journal{
		Mode:       in.Mode,
		History:    c.duration("/spec/journal/history", in.History, Duration(DefaultHistory)),
		Size:       c.size("/spec/journal/size", in.Size),
		MergeEvery: c.duration("/spec/journal/mergeEvery", in.MergeEvery, 0),
		Lock:       c.duration("/spec/journal/lock", in.Lock, 0),
	}
	if in.Mode == "" {
		out.Mode = DefaultMode
	}
	if out.History == 0 {
		c.bad("/spec/journal/history", "range", "must be more than 0")
	}
	if len(in.Size) > 0 && out.Size < 1<<20 {
		c.bad("/spec/journal/size", "range", "%s: must be at least 1MiB", out.Size)
	}
	switch {
	case in.MergeEvery != "" && out.Mode != cdp.RollForward:
		c.bad("/spec/journal/mergeEvery", "mode", "is for the mode %s only", cdp.RollForward)
	case in.MergeEvery != "" && out.MergeEvery == 0:
		c.bad("/spec/journal/mergeEvery", "range", "must be more than 0")
	case in.MergeEvery == "" && out.Mode == cdp.RollForward:
		out.MergeEvery = Duration(DefaultMergeEvery)
	}
	switch {
	case in.Lock != "" && out.Lock == 0:
		c.bad("/spec/journal/lock", "range", "must be more than 0; for no lock, leave it out")
	case out.Lock > out.History:
		c.bad("/spec/journal/lock", "range", "%s: longer than the history, %s, and what is locked is kept: give a history of at least %s", out.Lock, out.History, out.Lock)
	}
	return out
}

// failover reads how production failovers end, and what tests may take.
func (c *checker) failover(raw rawJob) Failover {
	in := raw.Spec.Failover
	scratch := c.size("/spec/failover/scratch", in.Scratch)
	if len(in.Scratch) > 0 && scratch < 1<<20 {
		c.bad("/spec/failover/scratch", "range", "%s: must be at least 1MiB", scratch)
	}
	if in.CommitPolicy.Goal() == "" {
		if in.CommitWindow != "" {
			c.bad("/spec/failover/commitWindow", "policy", "needs the commitPolicy commit or undo: with none a failover waits for a person")
		}
		return Failover{Scratch: scratch}
	}
	out := Failover{Scratch: scratch, CommitPolicy: in.CommitPolicy, CommitWindow: c.duration("/spec/failover/commitWindow", in.CommitWindow, Duration(recovery.DefaultWindow))}
	if w := out.CommitWindow.Std(); w < recovery.MinWindow || w > recovery.MaxWindow {
		c.bad("/spec/failover/commitWindow", "range", "%s: must be from %s to %s", out.CommitWindow, Duration(recovery.MinWindow), Duration(recovery.MaxWindow))
	}
	return out
}

func (c *checker) unique(path, name string, seen map[string]int, i int) {
	if first, twice := seen[name]; twice && name != "" {
		c.bad(path, "unique", "%q is already the name of disk %d", name, first)
		return
	}
	seen[name] = i
}

func (c *checker) path(at, path string, seen map[string]int, i int) {
	if path == "" {
		return
	}
	c.absolute(at, path)
	if first, twice := seen[path]; twice {
		c.bad(at, "unique", "%q is already the path of disk %d", path, first)
		return
	}
	seen[path] = i
}

func (c *checker) duration(path, text string, def Duration) Duration {
	if text == "" {
		return def
	}
	d, err := ParseDuration(text)
	if err != nil {
		c.bad(path, "duration", "%s", err)
		return def
	}
	return d
}

func (c *checker) size(path string, raw json.RawMessage) Size {
	if len(raw) == 0 {
		return 0
	}
	var s Size
	if err := s.UnmarshalJSON(raw); err != nil {
		c.bad(path, "size", "%s", err)
		return 1 << 40 // so that no second rule complains
	}
	return s
}

// CheckListen checks an address to listen at: host:port, or the absolute path
// of a unix socket.
func CheckListen(s string) error {
	if strings.HasPrefix(s, "/") {
		if len(s) > maxSocketPath {
			return fmt.Errorf("%q: the path of a socket must not be longer than %d bytes", s, maxSocketPath)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: write host:port, or the absolute path of a unix socket", s)
	}
	return nil
}
