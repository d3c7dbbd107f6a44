package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/health"
)

// Every command that prints facts prints them as data, too.
func TestEveryCommandThatPrintsFactsPrintsData(t *testing.T) {
	silent := " appliance up serve retry drop validate witness graph health secrets keys invite join accept nats-config nats-context attach close delete top deploy upgrade remove install uninstall resolve events completion bash zsh fish powershell man help "
	verdicts := []string{"tidemark config check", "tidemark schema show"} // answered by the exit code, or JSON as it is
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if slices.Contains(verdicts, c.CommandPath()) {
			return
		}
		if c.Runnable() && !c.HasSubCommands() || c.Name() == "failover" || c.Name() == "export" {
			if always := c.Parent().Name() == "point" || c.CommandPath() == "tidemark delete"; c.Flags().Lookup("output") == nil && (always || !strings.Contains(silent, " "+c.Name()+" ")) {
				t.Errorf("%s has no -o", c.CommandPath())
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}

// Lists without anything are [], a time that is not known is left out, and a name is
// printed once.
func TestDataForScripts(t *testing.T) {
	print := func(f format, v any, head []string, rows func(func(...any))) string {
		t.Helper()
		var b bytes.Buffer
		if err := f.print(&b, v, head, rows); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, f := range []format{asJSON, asYAML} {
		if out := print(f, []cdp.Point(nil), nil, nil); strings.TrimSpace(out) != "[]" {
			t.Errorf("%s of no points: %q", f, out)
		}
		out := print(f, []api.GroupStatus{{}}, nil, nil)
		lacks(t, out, "null", "0001-01-01")
		wants(t, out, "clockBoundNanos")
	}
	rows := func(add func(...any)) { add("prod", "a", 1); add("prod", "a", 2); add("dr", "", 3); add("dr", "b", 4) }
	head := []string{"site", "name*", "+more"}
	if out := print(asName, nil, head, rows); out != "a\nb\n" {
		t.Errorf("names: %q", out)
	}
	lacks(t, print(asTable, nil, head, rows), "MORE", "*")
	wants(t, print(asWide, nil, head, rows), "MORE", "NAME ")
}

// busy is a job in the middle of its first copy, and one that is protected.
func busy() []health.Job {
	seconds, p := 4.42, &cdp.Point{Frame: 1234567, Time: time.Unix(1e9, 0)}
	j := &api.GroupStatus{Newest: p, Bytes: 8 << 30, Limit: 50 << 30}
	problem := []health.Problem{{Text: "the first copy is not complete, and nothing can be recovered until it is: 30 MiB of 100 MiB (30%), 3.0 MiB/s, 23s left", Do: "wait"}}
	return []health.Job{
		{Group: health.Group{Job: "shop-db00001", State: health.Seeding, Level: health.NotProtected, RPO: "none yet", Objective: "5s", Problems: problem,
			Copy: &health.Copy{Percent: 34, Left: 7800}, Direction: "prod -> dr"}},
		{Group: health.Group{Job: "shop-db00003", State: health.Protected, RPO: "4.42s", Objective: "5s", Direction: "dr -> prod (reversed)"}},
		{Group: health.Group{Job: "shop-db00004", State: health.Protected, RPO: "4.42s", Objective: "5s", Direction: "prod -> dr"}},
		{Group: health.Group{Job: "shop-db00002", Of: "shop", State: health.Protected, RPO: "4.42s +- 1ms", RPOSeconds: &seconds, Objective: "5s", Journal: j}},
	}
}

// The overview fits 80 columns with names of 12 letters; -o wide has the rest.
func TestTheOverviewFitsATerminal(t *testing.T) {
	var b, wide bytes.Buffer
	for i, f := range []format{asTable, asWide} {
		if err := overview([]*bytes.Buffer{&b, &wide}[i], nil, f, busy()); err != nil {
			t.Fatal(err)
		}
	}
	table, below, _ := strings.Cut(b.String(), "\n\n")
	for line := range strings.Lines(table) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	wants(t, table, "seeding 34% 2h10m left", "4.42s of 5s", "p1234567", "16% of 50 GiB")
	wants(t, below, "dr -> prod (reversed): shop-db00003\nprod -> dr: all other jobs\n")
	wants(t, wide.String(), "2001-09-09 01:46:40.000Z", "8.0 GiB of 50 GiB", "DIRECTION", "prod -> dr")
}

// terminal is a real one: what is written to it can be read.
func terminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}); err != nil {
		t.Fatal(err)
	}
	return master, tty
}

// On a terminal a watch is redrawn in place, in colour unless NO_COLOR is set, and its
// sentences are broken to fit.
func TestATerminalHasColoursAndItsWidth(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for _, noColour := range []string{"", "1"} {
		t.Setenv("NO_COLOR", noColour)
		master, tty := terminal(t)
		out := make(chan string)
		go func() {
			var all strings.Builder
			for p := make([]byte, 4096); !strings.Contains(all.String(), "\x1b[J"); {
				n, err := master.Read(p)
				all.Write(p[:n])
				if err != nil {
					break
				}
			}
			out <- all.String()
		}()
		if err := frame(tty, func(w io.Writer) error { return overview(w, nil, asTable, busy()) }); err != nil {
			t.Fatal(err)
		}
		got := <-out
		wants(t, got, "\x1b[H", "shop-db00001: the first copy is not complete, and nothing\x1b[K\r\n")
		if coloured := strings.Contains(got, "\x1b[1;31mseeding") && strings.Contains(got, "\x1b[32mprotected"); coloured != (noColour == "") {
			t.Errorf("NO_COLOR=%q: %q", noColour, got)
		}
	}
}
