package spec

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// checker collects what is wrong with one document. A field that the schema
// refused already is not complained of twice.
type checker struct{ problems []Problem }

func (c *checker) bad(path, rule, format string, args ...any) {
	if !slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Path == path }) {
		c.problems = append(c.problems, Problem{Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

type metadata struct {
	Name string `json:"name"`
}

func (c *checker) site(doc []byte) *Site {
	var raw struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Kind string `json:"kind"`
			NATS string `json:"nats"`
		} `json:"spec"`
	}
	_ = json.Unmarshal(doc, &raw) // a field of the wrong type was refused by the schema, the rest is read
	if raw.Spec.NATS != "" {
		if u, err := url.Parse(raw.Spec.NATS); err != nil || u.Host == "" {
			c.bad("/spec/nats", "url", "%q is no URL: write nats://host:port", raw.Spec.NATS)
		}
	}
	return &Site{Name: cdp.Site(raw.Metadata.Name), Kind: raw.Spec.Kind, NATS: raw.Spec.NATS}
}

// rawJob is a ReplicationJob as it is written.
type rawJob struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Source struct {
			Site    cdp.Site    `json:"site"`
			Capture CaptureMode `json:"capture"`
			Disks   []struct {
				Name string          `json:"name"`
				Path string          `json:"path"`
				Size json.RawMessage `json:"size"`
			} `json:"disks"`
			Listen string `json:"listen"`
		} `json:"source"`
		Target struct {
			Site  cdp.Site     `json:"site"`
			Disks []TargetDisk `json:"disks"`
		} `json:"target"`
		RPO              string `json:"rpo"`
		FailIfRPOExceeds string `json:"failIfRpoExceeds"`
		Journal          struct {
			Mode       JournalMode     `json:"mode"`
			History    string          `json:"history"`
			Size       json.RawMessage `json:"size"`
			MergeEvery string          `json:"mergeEvery"`
		} `json:"journal"`
	} `json:"spec"`
}

func (c *checker) job(doc []byte) *ReplicationJob {
	var raw rawJob
	_ = json.Unmarshal(doc, &raw) // as above
	j := &ReplicationJob{Name: raw.Metadata.Name}
	c.source(raw, j)
	c.target(raw, j)
	c.journal(raw, j)
	j.RPO = c.duration("/spec/rpo", raw.Spec.RPO, Duration(DefaultRPO))
	if j.RPO.Std() < MinRPO || j.RPO.Std() > MaxRPO {
		c.bad("/spec/rpo", "range", "%s: must be from %s to %s", j.RPO, Duration(MinRPO), Duration(MaxRPO))
	}
	j.FailIfRPOExceeds = c.duration("/spec/failIfRpoExceeds", raw.Spec.FailIfRPOExceeds, 0)
	if raw.Spec.FailIfRPOExceeds != "" && j.FailIfRPOExceeds < j.RPO {
		c.bad("/spec/failIfRpoExceeds", "range", "%s: must be at least the rpo, %s", j.FailIfRPOExceeds, j.RPO)
	}
	return j
}

func (c *checker) source(raw rawJob, j *ReplicationJob) {
	in := raw.Spec.Source
	j.Source = Source{Site: in.Site, Capture: in.Capture, Listen: in.Listen}
	names, paths := map[string]int{}, map[string]int{}
	for i, d := range in.Disks {
		at := "/spec/source/disks/" + itoa(i)
		c.unique(at+"/name", d.Name, names, i)
		c.path(at+"/path", d.Path, paths, i)
		size := c.size(at+"/size", d.Size)
		switch {
		case d.Path == "" && in.Capture == Inline:
			c.bad(at+"/path", "required", "a path is needed: with capture inline the disk stands behind the export")
		case d.Path == "" && len(d.Size) == 0:
			c.bad(at+"/size", "required", "a size is needed where there is no path")
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
			j.Target.Disks = append(j.Target.Disks, in.Disks[i])
		} else if s.Name != "" && len(in.Disks) > 0 {
			c.problems = append(c.problems, Problem{Path: "/spec/target/disks", Rule: "reference", Text: fmt.Sprintf("there is no replica of the disk %q", s.Name)})
		}
	}
}

func (c *checker) journal(raw rawJob, j *ReplicationJob) {
	in := raw.Spec.Journal
	j.Journal = Journal{
		Mode:       in.Mode,
		History:    c.duration("/spec/journal/history", in.History, Duration(DefaultHistory)),
		Size:       c.size("/spec/journal/size", in.Size),
		MergeEvery: c.duration("/spec/journal/mergeEvery", in.MergeEvery, 0),
	}
	if in.Mode == "" {
		j.Journal.Mode = DefaultMode
	}
	if j.Journal.History == 0 {
		c.bad("/spec/journal/history", "range", "must be more than 0")
	}
	if len(in.Size) > 0 && j.Journal.Size < 1<<20 {
		c.bad("/spec/journal/size", "range", "%s: must be at least 1MiB", j.Journal.Size)
	}
	switch {
	case in.MergeEvery != "" && j.Journal.Mode != RollForward:
		c.bad("/spec/journal/mergeEvery", "mode", "goes with the mode %s only", RollForward)
	case in.MergeEvery != "" && j.Journal.MergeEvery == 0:
		c.bad("/spec/journal/mergeEvery", "range", "must be more than 0")
	case in.MergeEvery == "" && j.Journal.Mode == RollForward:
		j.Journal.MergeEvery = Duration(DefaultMergeEvery)
	}
}

func (c *checker) unique(path, name string, seen map[string]int, i int) {
	if first, twice := seen[name]; twice && name != "" {
		c.bad(path, "unique", "%q is the name of disk %d already", name, first)
		return
	}
	seen[name] = i
}

func (c *checker) path(at, path string, seen map[string]int, i int) {
	if path == "" {
		return
	}
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		c.bad(at, "path", "%q: must be an absolute path without . and ..", path)
	}
	if first, twice := seen[path]; twice {
		c.bad(at, "unique", "%q is the path of disk %d already", path, first)
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
		if len(s) > 107 {
			return fmt.Errorf("%q: a socket's path has at most 107 bytes", s)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: write host:port, or the absolute path of a unix socket", s)
	}
	return nil
}
