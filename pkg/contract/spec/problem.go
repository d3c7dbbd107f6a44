package spec

import (
	"errors"
	"fmt"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// Problem is one thing wrong with a file.
type Problem struct {
	Line int    // in the file, 0 if it is not known
	Path string // JSON pointer of the field, from the document's root
	Rule string // what it breaks
	Text string
}

func (p Problem) String() string {
	s := ""
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: ", p.Line)
	}
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Text
}

// refused is the cause of the error of a file with problems.
type refused []Problem

func (r refused) Error() string {
	lines := make([]string, len(r))
	for i, p := range r {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Problems gives the problems behind an error of Parse.
func Problems(err error) []Problem {
	var r refused
	errors.As(err, &r)
	return r
}

func refuse(name string, problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &cdp.Error{Op: "read spec", Kind: cdp.Invalid, Subject: name, Cause: refused(problems)}
}
