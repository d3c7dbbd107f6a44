// Command demo tells Tidemark's story on this machine: two disks are protected
// as one group, written to by an NBD client, attacked, lost, and brought back at
// a point of one's choice; an independent record of the writes proves that every
// byte is right. It needs no root and leaves nothing behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	bin := flag.String("bin", "bin/tidemark", "the tidemark binary")
	guest := flag.Bool("guest", false, "with a real Linux guest and PostgreSQL, in QEMU")
	compose := flag.Bool("compose", false, "two sites of containers, with Docker Compose; the image tidemark is there")
	observe := flag.Bool("observe", false, "with -compose: adds Jaeger and Prometheus; the images tidemark-jaeger and tidemark-prometheus are there")
	picture := flag.String("picture", "", "with -observe: a PNG file for a picture of the failover in Jaeger's pages, which the image has; Chromium is there")
	keep := flag.String("dir", "", "work in this folder and leave it there; default a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *guest:
		err = runGuest(ctx, *bin, os.Stdout)
	case *compose:
		err = runCompose(ctx, *bin, *keep, *observe, *picture, os.Stdout)
	default:
		err = runDisks(ctx, *bin, *keep, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		stop()
		os.Exit(1)
	}
}

// teller writes the story.
type teller struct{ w io.Writer }

func (t teller) step(n int, format string, args ...any) {
	fmt.Fprintf(t.w, "\n\033[1m%d. %s\033[0m\n", n, fmt.Sprintf(format, args...))
}

func (t teller) say(format string, args ...any) {
	fmt.Fprintf(t.w, "   %s\n", fmt.Sprintf(format, args...))
}
