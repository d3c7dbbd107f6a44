package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

// benchmarks in the order they run.
var benchmarks = []struct {
	name string
	run  func(*Bench) error
}{
	{"journal.ingest", benchIngest},
	{"pipeline", benchPipeline},
	{"latency", benchLatency},
	{"view", benchView},
	{"permanent", benchPermanent},
	{"inline", benchInline},
	{"tap", benchTap},
	{"seed", benchSeed},
	{"failover", benchFailover},
	{"memory", benchMemory},
	{"first", benchFirst},
	{"many", benchMany},
}

// Bench is one run: its settings, its directory, its report.
type Bench struct {
	context.Context
	dir     string
	profile string // directory for profiles; may be empty
	rounds  int
	quick   bool
	only    *regexp.Regexp
	waited  int // half seconds, by calm
	failed  int
	missed  int
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == plantCommand {
		plantMain(os.Args[2])
		return
	}
	only := flag.String("only", "", "run only benchmarks that match")
	rounds := flag.Int("rounds", 3, "interleaved `rounds`")
	quick := flag.Bool("quick", false, "a tenth of the data: to see that it works")
	dir := flag.String("dir", "", "`directory` on the disk to measure (default: beside the repository)")
	profile := flag.String("profile", "", "write a CPU profile of each benchmark into this `directory`")
	flag.Parse()
	re, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: -only:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &Bench{Context: ctx, rounds: *rounds, quick: *quick, only: re, profile: *profile}
	if err := b.all(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	switch {
	case b.failed > 0:
		os.Exit(2)
	case b.missed > 0:
		os.Exit(1)
	}
}

func (b *Bench) all(base string) error {
	if base == "" {
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		base = filepath.Dir(wd)
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return err
	}
	top, err := os.MkdirTemp(base, "tmbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	fmt.Printf("# %d CPUs, %s, %d rounds, in %s\n", runtime.NumCPU(), time.Now().Format(time.RFC3339), b.rounds, base)
	for _, x := range benchmarks {
		if !b.only.MatchString(x.name) || b.Err() != nil {
			continue
		}
		b.waited = 0
		b.dir = filepath.Join(top, x.name)
		if err := b.one(x.name, x.run); err != nil {
			b.failed++
			fmt.Printf("%-34s failed: %v\n", x.name, err)
		}
		if err := os.RemoveAll(b.dir); err != nil {
			return err
		}
	}
	return b.Err()
}

func (b *Bench) one(name string, run func(*Bench) error) error {
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return err
	}
	if b.profile != "" {
		f, err := os.Create(filepath.Join(b.profile, name+".pprof"))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	all0, own0, err := busy()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := run(b); err != nil {
		return err
	}
	all1, own1, err := busy()
	others := max(0, (all1-all0)-(own1-own0))
	fmt.Printf("# %s took %.0f s; other processes used %.2f CPUs meanwhile\n", name, time.Since(began).Seconds(), others.Seconds()/time.Since(began).Seconds())
	return err
}

// size is n, or a tenth of it in a quick run.
func (b *Bench) size(n int64) int64 {
	if b.quick {
		return n / 10
	}
	return n
}

// eachRound runs the rounds; what was measured before one fails is kept.
func (b *Bench) eachRound(f func() error) error {
	for range b.rounds {
		if err := b.Err(); err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
