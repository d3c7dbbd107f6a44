package appliance

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

// console shows what the machine is and does: on its screen, drawn again at every change,
// and as lines on its serial port. What the services print follows the state. It takes no
// input.
type console struct {
	version string
	screen  io.Writer // nil: there is none
	serial  io.Writer

	mu    sync.Mutex
	facts []fact
	lines []string // the last ones that the services printed
	part  []byte   // of a line
}

type fact struct{ what, value string }

// consoleLines is how many lines of the services are shown.
const consoleLines = 14

func newConsole(version string) *console {
	c := &console{version: version, serial: os.Stdout}
	if f, err := os.OpenFile("/dev/tty1", os.O_WRONLY, 0); err == nil {
		c.screen = f
	}
	return c
}

// set shows a fact, in place of an earlier one of that name.
func (c *console) set(what, format string, args ...any) {
	value := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.facts, func(f fact) bool { return f.what == what })
	switch {
	case i < 0:
		c.facts = append(c.facts, fact{what, value})
	case c.facts[i].value == value:
		return
	default:
		c.facts[i].value = value
	}
	_, _ = fmt.Fprintf(c.serial, "tidemark: %s: %s\n", what, value) // nobody may listen
	c.draw()
}

// Write shows what the services print.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.serial.Write(p)
	c.part = append(c.part, p...)
	for {
		line, rest, whole := bytes.Cut(c.part, []byte("\n"))
		if !whole {
			break
		}
		c.part = slices.Clone(rest)
		c.lines = append(c.lines, printable(string(line)))
	}
	c.lines = c.lines[max(0, len(c.lines)-consoleLines):]
	c.draw()
	return len(p), nil
}

// draw is called with the lock.
func (c *console) draw() {
	if c.screen == nil {
		return
	}
	var b strings.Builder
	b.WriteString("\033[2J\033[H") // clear, go home
	fmt.Fprintf(&b, "Tidemark transporter %s\n\n", c.version)
	for _, f := range c.facts {
		fmt.Fprintf(&b, "  %-10s %s\n", f.what, strings.ReplaceAll(printable(f.value), "\n", "\n             "))
	}
	b.WriteString("\n")
	for _, l := range c.lines {
		b.WriteString(l[:min(len(l), 79)] + "\n")
	}
	_, _ = io.WriteString(c.screen, b.String())
}

// printable has no control characters but ends of lines, which a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
