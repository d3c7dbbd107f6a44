package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	r := recipe{dataGiB: 100}
	flag.StringVar(&r.bin, "bin", "bin/tidemark", "the static binary")
	flag.StringVar(&r.parts, "parts", "deploy/appliance", "the directory of the appliance's other parts")
	flag.StringVar(&r.version, "version", "dev", "the version that vCenters show")
	flag.IntVar(&r.dataGiB, "data", r.dataGiB, "size of the data disk, in GiB; it can be extended later")
	out := flag.String("o", "bin/tidemark-transporter.ova", "the OVA")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := r.build(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "ova:", err)
		os.Exit(1)
	}
	if st, err := os.Stat(*out); err == nil {
		fmt.Printf("%s: %.1f MiB\n", *out, float64(st.Size())/(1<<20))
	}
}
