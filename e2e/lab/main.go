package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	args := os.Args[1:]
	var err error
	switch {
	case len(args) > 0 && args[0] == "vcenter":
		err = cmdVCenter(ctx, args[1:])
	case len(args) > 0 && args[0] != "" && args[0][0] != '-':
		err = fmt.Errorf("there is no %q: it is lab, or lab vcenter", args[0])
	default:
		err = cmdPlay(ctx, args)
	}
	if err != nil && err != flag.ErrHelp {
		fmt.Fprintln(os.Stderr, "lab:", err)
		stop()
		os.Exit(1)
	}
}
