package main

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/core/health"
)

// columns is how many columns a terminal has: 80 if it does not say, and 0 if f is
// no terminal.
func columns(f *os.File) int {
	fd := int(f.Fd())
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return 0
	}
	if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		return int(size.Col)
	}
	return 80
}

// inColour reports whether what is written to w may have colours: it is a terminal
// that knows them, and NO_COLOR (no-color.org) is not set.
func inColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// plain is a text as it may be printed: what a terminal would act on is escaped.
// Only lines are kept.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// painted is a plain text with colours.
type painted string

// paint gives a text the colour of a level, and makes it plain.
func paint(w io.Writer, l health.Level, s string) painted {
	s = plain(s)
	if !inColour(w) {
		return painted(s)
	}
	c := map[health.Level]text.Colors{health.OK: {text.FgGreen}, health.Warning: {text.FgYellow}, health.NotProtected: {text.Bold, text.FgRed}}[l]
	return painted(text.Escape(s, c.EscapeSeq()))
}

// wrap makes a text plain, and breaks it into lines that fit a terminal. What is not for a terminal is
// not broken, so that it can be searched.
func wrap(w io.Writer, s string) string {
	s = plain(s)
	n := width(w)
	if n == 0 {
		return s
	}
	var lines []string
	for line := range strings.Lines(text.WrapSoft(s, n)) { // it pads them
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n")
}

// bar is a progress bar.
func bar(percent int) string {
	const cells = 30
	n := percent * cells / 100
	return strings.Repeat("█", n) + strings.Repeat("░", cells-n)
}

// frame is what a watch shows once. On a terminal it replaces the one before, in
// place; what is the same does not flicker.
func frame(w io.Writer, show func(io.Writer) error) error {
	if !isTerminal(w) {
		return show(w)
	}
	var b bytes.Buffer
	err := show(screen{&b, w})
	page := strings.ReplaceAll(b.String(), "\n", "\x1b[K\n")
	if _, werr := io.WriteString(w, "\x1b[H"+page+"\x1b[J"); err == nil {
		err = werr
	}
	return err
}

// screen is a page for a terminal that is not shown yet.
type screen struct {
	*bytes.Buffer
	terminal io.Writer
}
