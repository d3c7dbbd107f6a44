package robustness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
)

// flipSite is an installation of `tidemark up` with two jobs, as it was killed, and
// as it was stopped.
type flipSite struct {
	t      *testing.T
	dir    string // of the installation
	saved  string // of the copies
	up     *proc.Process
	jobs   []*flipJob
	made   int // points of each job at the moment that was restored
	client *client.Client
}

// flipJob is a job of one disk, and the points that were made of it.
type flipJob struct {
	name, mode string
	points     []flipPoint
}

type flipPoint struct {
	point cdp.Point
	disk  []byte
}

const (
	flipDisk   = 2 << 20
	flipPoints = 3 // before it is killed
)

func newFlipSite(t *testing.T, seed uint64) *flipSite {
	t.Helper()
	top, err := os.MkdirTemp("", "tmflip") // short, for the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	s := &flipSite{t: t, dir: filepath.Join(top, "d"), saved: filepath.Join(top, "saved")}
	for _, mode := range []string{"rollback", "roll-forward"} {
		s.jobs = append(s.jobs, &flipJob{name: fmt.Sprintf("%s-%d", strings.ReplaceAll(mode, "-", ""), os.Getpid()), mode: mode})
	}
	for _, d := range []string{s.dir, s.saved, filepath.Join(top, "src"), filepath.Join(s.dir, "replicas")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var addrs []any
	for range 3 {
		a, err := proc.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, a)
	}
	config := filepath.Join(top, "up.yaml")
	s.write(config, fmt.Sprintf("sites:\n  - {name: prod, listen: %q}\n  - {name: dr, listen: %q, leaf: %q}\nlinks: [{from: prod, to: dr}]\n", addrs...))
	s.up = &proc.Process{Name: "up", Args: []string{bin.Tidemark, "up", "--dir", s.dir, "--allow", top, "--config", config}, Log: filepath.Join(top, "up.log")}
	t.Cleanup(s.kill)

	rng := rand.New(rand.NewPCG(seed, 99))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s.start(ctx)
	for _, j := range s.jobs {
		s.write(s.source(j), "")
		if err := os.Truncate(s.source(j), flipDisk); err != nil {
			t.Fatal(err)
		}
		spec := filepath.Join(top, j.name+".yaml")
		s.write(spec, fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source: {site: prod, capture: inline, listen: %s, disks: [{name: d, path: %s}]}
  target: {site: dr, disks: [{name: d, path: %s}]}
  rpo: 1h
  journal: {mode: %s, history: 1h}
`, j.name, s.socket(j), s.source(j), s.replica(j), j.mode))
		s.tidemark("apply", "-f", spec)
		s.tidemark("job", "run", j.name, "--no-wait") // no point is due for an hour
	}
	s.makePoints(ctx, rng, flipPoints)
	s.kill()
	s.save("killed")
	s.start(ctx)
	s.makePoints(ctx, rng, 1)
	if err := proc.Stop(time.Minute, s.up); err != nil {
		t.Fatal(err)
	}
	s.save("stopped")
	return s
}

func (s *flipSite) source(j *flipJob) string {
	return filepath.Join(filepath.Dir(s.dir), "src", j.name+".img")
}
func (s *flipSite) socket(j *flipJob) string {
	return filepath.Join(filepath.Dir(s.dir), "src", j.name+".sock")
}
func (s *flipSite) replica(j *flipJob) string {
	return filepath.Join(s.dir, "replicas", j.name+".img")
}

func (s *flipSite) write(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *flipSite) tidemark(args ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), bin.Tidemark, append(args, "--dir", s.dir)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tidemark %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts it, and waits until its bus answers.
func (s *flipSite) start(ctx context.Context) {
	s.t.Helper()
	if err := s.up.Start(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.connect(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// connect connects to the target as an operator does, or says how the process ended.
func (s *flipSite) connect(ctx context.Context) error {
	for {
		c, err := client.LoadContext(s.dir)
		if err == nil {
			s.client, err = client.Connect(ctx, client.Config{Site: "dr", Bus: c.Sites["dr"]})
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-s.up.Done():
			return s.up.Running()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *flipSite) kill() { proc.Kill(s.up) }

// makePoints has each guest write, and makes a point of it, n times.
func (s *flipSite) makePoints(ctx context.Context, rng *rand.Rand, n int) {
	s.t.Helper()
	for range n {
		for _, j := range s.jobs {
			c, err := s.dialGuest(ctx, j)
			if err != nil {
				s.t.Fatal(err)
			}
			for range 24 {
				p := make([]byte, (1+rng.IntN(16))*4096)
				for k := range p {
					p[k] = byte(rng.Uint32() >> 5)
				}
				if _, err := c.WriteAt(p, rng.Int64N((flipDisk-int64(len(p)))/512)*512); err != nil {
					s.t.Fatal(err)
				}
			}
			if err := c.Flush(); err != nil {
				s.t.Fatal(err)
			}
			c.Close()
			p, err := s.point(ctx, j)
			if err != nil {
				s.t.Fatal(err)
			}
			disk, err := os.ReadFile(s.source(j))
			if err != nil {
				s.t.Fatal(err)
			}
			j.points = append(j.points, flipPoint{p, disk})
		}
	}
	s.client.Close()
}

// point makes a point of a job, once it can be made.
func (s *flipSite) point(ctx context.Context, j *flipJob) (cdp.Point, error) {
	for {
		p, err := s.client.CreatePoint(ctx, j.name, client.NewPoint{Tags: []string{fmt.Sprintf("tag%d", len(j.points))}})
		if err == nil || ctx.Err() != nil {
			return p, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// dialGuest connects to the job's disk as its guest does.
func (s *flipSite) dialGuest(ctx context.Context, j *flipJob) (*nbd.Client, error) {
	for {
		c, err := nbd.Dial(ctx, "unix", s.socket(j), "d")
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// read reads the disk at a point.
func (s *flipSite) read(ctx context.Context, j *flipJob, p cdp.Point) ([]byte, error) {
	r := api.OpenRequest{Group: cdp.GroupID(j.name), ID: "v" + p.ID(), Seq: p.Seq, Purpose: "export"}
	x, err := s.client.Journal().Open(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(x.Disks[0].URI)
	if err != nil {
		return nil, err
	}
	c, err := nbd.Dial(ctx, "unix", u.Query().Get("socket"), strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	b := make([]byte, flipDisk)
	_, err = c.ReadAt(b, 0)
	c.Close()
	if err == nil {
		err = s.client.Journal().Close(ctx, api.CloseRequest{Group: r.Group, ID: r.ID})
	}
	return b, err
}

// copyTree copies a directory, holes as holes, whatever there is at the destination.
func (s *flipSite) copyTree(from, to string) {
	s.t.Helper()
	err := os.RemoveAll(to)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		_, err = exec.Command("cp", "-a", "--sparse=always", from, to).CombinedOutput()
	}
	if err != nil {
		s.t.Fatalf("copy %s: %v", from, err)
	}
}

// windows is the directory of the installation's windows.
func (s *flipSite) windows() string {
	for _, j := range s.jobs {
		if w := proc.Windows(j.name); len(w) > 0 {
			return filepath.Dir(w[0])
		}
	}
	return ""
}

// save and restore copy the installation, with the guests' disks and the windows.
func (s *flipSite) save(how string) {
	s.t.Helper()
	to := filepath.Join(s.saved, how)
	s.copyTree(s.dir, filepath.Join(to, "d"))
	s.copyTree(filepath.Join(filepath.Dir(s.dir), "src"), filepath.Join(to, "src"))
	if w := s.windows(); w != "" {
		s.write(filepath.Join(to, "windows-at"), w)
		s.copyTree(w, filepath.Join(to, "windows"))
		s.t.Cleanup(func() { os.RemoveAll(w) })
	}
}

func (s *flipSite) restore(how string) {
	s.t.Helper()
	from := filepath.Join(s.saved, how)
	s.made = map[string]int{"killed": flipPoints, "stopped": flipPoints + 1}[how]
	s.copyTree(filepath.Join(from, "d"), s.dir)
	s.copyTree(filepath.Join(from, "src"), filepath.Join(filepath.Dir(s.dir), "src"))
	_ = os.Remove(filepath.Join(s.dir, client.ContextName)) // it is written when it is up
	if w := s.windows(); w != "" {
		if err := os.RemoveAll(w); err != nil {
			s.t.Fatal(err)
		}
	}
	if w, err := os.ReadFile(filepath.Join(from, "windows-at")); err == nil {
		s.copyTree(filepath.Join(from, "windows"), string(w))
	}
}

// flip flips a bit of a file of the installation.
func (s *flipSite) flip(rng *rand.Rand) (file string, at int64, bit int) {
	s.t.Helper()
	var files []string
	for _, top := range []string{s.dir, s.windows()} {
		err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil && info.Size() > 0 {
					files = append(files, path)
				}
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	slices.Sort(files)
	file = files[rng.IntN(len(files))]
	raw, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	at, bit = rng.Int64N(int64(len(raw))), rng.IntN(8)
	raw[at] ^= 1 << bit
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(raw[at:at+1], at)
		f.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return file, at, bit
}

// owner is the job whose file it is; nil: that of both.
func (s *flipSite) owner(file string) *flipJob {
	for _, j := range s.jobs {
		if strings.Contains(file, j.name) {
			return j
		}
	}
	return nil
}

func (s *flipSite) short(file string) string {
	if rel, err := filepath.Rel(s.dir, file); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return file
}
