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
	{"view", benchView},
	{"permanent", benchPermanent},
	{"inline", benchInline},
	{"tap", benchTap},
	{"memory", benchMemory},
}

// Bench is one run: its settings, its directory, its report.
type Bench struct {
	context.Context
	dir    string
	rounds int
	quick  bool
	only   *regexp.Regexp
	failed int
	missed int
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
	b := &Bench{Context: ctx, rounds: *rounds, quick: *quick, only: re}
	if err := b.all(*dir, *profile); err != nil {
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

func (b *Bench) all(base, profile string) error {
	if base == "" {
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		base = filepath.Dir(wd)
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
		b.dir = filepath.Join(top, x.name)
		if err := b.one(x.name, x.run, profile); err != nil {
			b.failed++
			fmt.Printf("%-34s failed: %v\n", x.name, err)
		}
		if err := os.RemoveAll(b.dir); err != nil {
			return err
		}
	}
	return b.Err()
}

func (b *Bench) one(name string, run func(*Bench) error, profile string) error {
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(filepath.Join(profile, name+".pprof"))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return run(b)
}

// size is n, or a tenth of it in a quick run.
func (b *Bench) size(n int64) int64 {
	if b.quick {
		return n / 10
	}
	return n
}
