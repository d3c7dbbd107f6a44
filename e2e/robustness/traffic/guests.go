package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
)

// Disk is one disk of the guests.
type Disk struct {
	Name string // of its export
	Path string // of the image behind the export
	Size int64
}

// Config says what the guests do.
type Config struct {
	Disks   []Disk
	Network string // of the exports' address
	Address string
	Writers int
	// Every is the pause of a writer between two writes.
	Every time.Duration
	// Seed decides what is written where.
	Seed uint64
}

// Guests are writers at work.
type Guests struct {
	cfg    Config
	Record *Record

	mu            sync.Mutex
	addr          string
	cancel, abort context.CancelFunc
	wg            sync.WaitGroup
	round         uint64
}

// New makes the images, with some content that is in the record as written
// before anything else, and guests that do not run yet.
func New(cfg Config) (*Guests, error) {
	g := &Guests{cfg: cfg, Record: NewRecord(cfg.Seed), addr: cfg.Address}
	for i, d := range cfg.Disks {
		f, err := os.OpenFile(d.Path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := f.Truncate(d.Size); err != nil {
			return nil, err
		}
		// A third is allocated: its beginning, and the last sectors.
		for _, x := range [][2]int64{{0, d.Size / 3 / Sector * Sector}, {d.Size - 5*Sector, d.Size}} {
			w := g.Record.begin(i, x[0], int(x[1]-x[0]), false)
			p := make([]byte, w.Len)
			Stamp(p, g.Record.Run, w.N, i, w.Off)
			if _, err := f.WriteAt(p, w.Off); err != nil {
				return nil, err
			}
			g.Record.end(w.N)
		}
	}
	return g, nil
}

// Move tells the guests another address, for the next time they connect, and
// where the images behind it are.
func (g *Guests) Move(address string, images ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addr = address
	for i, path := range images {
		g.cfg.Disks[i].Path = path
	}
}

func (g *Guests) address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.addr
}

// Start lets the writers run until Stop.
func (g *Guests) Start() {
	hard, abort := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(hard)
	g.cancel, g.abort = cancel, abort
	g.round++
	for i := range g.cfg.Writers {
		rng := rand.New(rand.NewPCG(g.cfg.Seed, g.round<<32|uint64(i)))
		g.wg.Go(func() { (&writer{g: g, rng: rng, hard: hard}).run(ctx) })
	}
}

// patience is how long Stop waits for the last answers.
const patience = 15 * time.Second

// Stop ends the writers; each has its last answer, unless that never came.
func (g *Guests) Stop() {
	if g.cancel == nil {
		return
	}
	g.cancel()
	t := time.AfterFunc(patience, g.abort)
	g.wg.Wait()
	t.Stop()
	g.Abandon()
}

// Abandon ends the writers at once; what has no answer stays in doubt.
func (g *Guests) Abandon() {
	if g.abort != nil {
		g.abort()
		g.wg.Wait()
		g.cancel, g.abort = nil, nil
	}
}

// writer is one sequence of writes that depend on each other.
type writer struct {
	g     *Guests
	rng   *rand.Rand
	hard  context.Context // ends the connections, too
	disks []*nbd.Client
}

func (w *writer) run(ctx context.Context) {
	defer w.hangUp()
	for n := w.rng.IntN(2); ctx.Err() == nil; n++ {
		if !w.connected(ctx) {
			return
		}
		w.write(n % len(w.disks))
		pause(ctx, w.g.cfg.Every)
	}
}

// connected connects to all disks, again and again.
func (w *writer) connected(ctx context.Context) bool {
	for len(w.disks) == 0 {
		for _, d := range w.g.cfg.Disks {
			dctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			c, err := nbd.Dial(dctx, w.g.cfg.Network, w.g.address(), d.Name)
			cancel()
			if err != nil {
				w.hangUp()
				if !pause(ctx, 20*time.Millisecond) {
					return false
				}
				break
			}
			context.AfterFunc(w.hard, c.Abort)
			w.disks = append(w.disks, c)
		}
	}
	return true
}

func (w *writer) hangUp() {
	for _, c := range w.disks {
		c.Abort()
	}
	w.disks = nil
}

// lengths are how long writes are, in sectors.
var lengths = []int{1, 3, 8, 8, 8, 8, 8, 8, 16, 24, 64, 128}

// place chooses where to write: mostly in a hot spot, where writes overlap.
func (w *writer) place(disk int) (off int64, n int) {
	all := w.g.cfg.Disks[disk].Size / Sector
	n = lengths[w.rng.IntN(len(lengths))]
	in := all
	if w.rng.IntN(4) > 0 {
		in = max(all/16, int64(n)+1)
	}
	at := w.rng.Int64N(in - int64(n) + 1)
	if n%8 == 0 && w.rng.IntN(4) > 0 {
		at = at / 8 * 8
	}
	return at * Sector, n * Sector
}

func (w *writer) write(disk int) {
	r, c := w.g.Record, w.disks[disk]
	off, n := w.place(disk)
	kind := w.rng.IntN(40)
	x := r.begin(disk, off, n, kind == 0)
	p := make([]byte, n)
	Stamp(p, r.Run, x.N, disk, off)
	var err error
	switch kind {
	case 0:
		err = c.Zero(off, int64(n), 0)
	case 1:
		_, err = c.WriteFUA(p, off)
	default:
		_, err = c.WriteAt(p, off)
	}
	if err == nil {
		r.end(x.N)
		if kind == 2 {
			err = c.Flush()
		}
	}
	if err == nil {
		return
	}
	var no syscall.Errno
	if errors.As(err, &no) && serverSaid(no) {
		r.fail("%s: %v", x, err)
	}
	w.hangUp()
}

// serverSaid reports whether an error number came over the wire, rather than
// from a socket that broke.
func serverSaid(no syscall.Errno) bool {
	switch no {
	case syscall.EPIPE, syscall.ECONNRESET, syscall.ENOTCONN, syscall.ECONNREFUSED, syscall.ESHUTDOWN:
		return false // ESHUTDOWN: the server is being stopped in good order
	}
	return true
}

// Rogue writes to a disk as a guest that has not heard that others took over:
// stamps of another run, for a while. It gives what went wrong.
func (g *Guests) Rogue(ctx context.Context, address string, d time.Duration) error {
	var cs []*nbd.Client
	for _, x := range g.cfg.Disks {
		c, err := nbd.Dial(ctx, g.cfg.Network, address, x.Name)
		if err != nil {
			return err
		}
		defer c.Abort()
		cs = append(cs, c)
	}
	rng := rand.New(rand.NewPCG(g.cfg.Seed, 99))
	for n, end := uint64(1), time.Now().Add(d); time.Now().Before(end); n++ {
		disk := int(n % 2)
		off := rng.Int64N(g.cfg.Disks[disk].Size/Sector) * Sector
		p := make([]byte, Sector)
		Stamp(p, g.Record.Run+1, n, disk, off)
		if _, err := cs[disk].WriteAt(p, off); err != nil {
			return err
		}
		pause(ctx, g.cfg.Every)
	}
	return nil
}

// Images reads the images behind the disks.
func (g *Guests) Images() ([][]byte, error) {
	var out [][]byte
	for _, d := range g.cfg.Disks {
		p, err := os.ReadFile(d.Path)
		if err == nil && int64(len(p)) != d.Size {
			err = fmt.Errorf("%s: %d bytes, not %d", d.Path, len(p), d.Size)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
