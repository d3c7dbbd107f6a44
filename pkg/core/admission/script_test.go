package admission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// TestScripts runs the scripts in testdata. They are rewritten with what the code
// does by: go test ./pkg/core/admission -rewrite
//
//	journal epoch=E no=N head=S hash=H
//	    the newest frame that the journal holds; nothing for an empty journal
//	offer
//	    epoch=E no=N first=S [writes=W] prev=H hash=H [start]
//	    offers a frame a line, and prints the verdict with the reason, or what the
//	    journal holds then; a hash is a letter; start begins an extent
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s State
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "journal":
				s = State{}
				for _, a := range d.CmdArgs {
					scanState(t, d, a, &s)
				}
				return holds(s)
			case "offer":
				var out strings.Builder
				for _, line := range strings.Split(d.Input, "\n") {
					h := scanFrame(t, d, line)
					v, why := Decide(s, h)
					if v == Accept {
						s = s.After(h)
						why = holds(s)
					}
					fmt.Fprintf(&out, "%s: %s\n", v, strings.TrimSpace(why))
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

// holds is the state as text.
func holds(s State) string {
	if s.No == 0 {
		return "the journal is empty\n"
	}
	return fmt.Sprintf("the journal holds frame %d (%c) of epoch %d, up to write %d\n", s.No, s.Hash[0], s.Epoch, s.Head)
}

func scanState(t *testing.T, d *datadriven.TestData, a datadriven.CmdArg, s *State) {
	t.Helper()
	switch a.Key {
	case "epoch":
		d.ScanArgs(t, a.Key, (*uint64)(&s.Epoch))
	case "no":
		d.ScanArgs(t, a.Key, (*uint64)(&s.No))
	case "head":
		d.ScanArgs(t, a.Key, (*uint64)(&s.Head))
	case "hash":
		s.Hash = frame.Hash{a.Vals[0][0]}
	default:
		d.Fatalf(t, "unknown argument %s", a.Key)
	}
}

func scanFrame(t *testing.T, d *datadriven.TestData, line string) (h frame.Header) {
	t.Helper()
	h.Records = 1
	for _, field := range strings.Fields(line) {
		key, value, _ := strings.Cut(field, "=")
		var err error
		switch key {
		case "epoch":
			_, err = fmt.Sscan(value, &h.Epoch)
		case "no":
			_, err = fmt.Sscan(value, &h.No)
		case "first":
			_, err = fmt.Sscan(value, &h.First)
		case "writes":
			_, err = fmt.Sscan(value, &h.Records)
		case "prev":
			if value != "-" { // none: the first frame
				h.Prev = frame.Hash{value[0]}
			}
		case "hash":
			h.Hash = frame.Hash{value[0]}
		case "start":
			h.Flags |= frame.ExtentStart
		default:
			err = fmt.Errorf("unknown field %s", key)
		}
		if err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
	}
	if h.Epoch == cdp.Epoch(0) || h.No == 0 {
		d.Fatalf(t, "%s: a frame has an epoch and a number", line)
	}
	return h
}
