package predicate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Predicate is a condition that was parsed.
type Predicate struct {
	root   node
	fields []string // the paths of those that it names, in order
}

// The depth of parentheses and negations is bounded, for a plan may come from anybody who
// may write plans.
const maxDepth = 50

// Parse reads a condition. The error says where it cannot be read, and why.
func Parse(text string) (Predicate, error) {
	r := reader{text: text}
	if err := r.split(); err != nil {
		return Predicate{}, err
	}
	root, err := r.either(0)
	if err == nil && r.peek() != "" {
		err = r.unexpected("and, or, or the end")
	}
	if err != nil {
		return Predicate{}, err
	}
	return Predicate{root, r.fields}, nil
}

var (
	token = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)*|==|!=|<=|>=|<|>|\(|\))`)
	field = regexp.MustCompile(`^[A-Za-z]`)
)

// reader reads a condition, token by token.
type reader struct {
	text   string
	tokens []string
	at     []int // where each token begins
	next   int
	fields []string
}

func (r *reader) split() error {
	for i := 0; i < len(r.text); {
		if r.text[i] == ' ' {
			i++
			continue
		}
		t := token.FindString(r.text[i:])
		if t == "" {
			return fmt.Errorf("at character %d: %q is no field, number, text in double quotes or comparison", i+1, []rune(r.text[i:])[0])
		}
		r.tokens, r.at = append(r.tokens, t), append(r.at, i)
		i += len(t)
	}
	return nil
}

// peek is the next token; empty at the end.
func (r *reader) peek() string {
	if r.next < len(r.tokens) {
		return r.tokens[r.next]
	}
	return ""
}

// take takes the next token if it is one of these.
func (r *reader) take(any ...string) (string, bool) {
	t := r.peek()
	if t == "" || !slices.Contains(any, t) {
		return "", false
	}
	r.next++
	return t, true
}

func (r *reader) unexpected(want string) error {
	if t := r.peek(); t != "" {
		return fmt.Errorf("at character %d: found %s, want %s", r.at[r.next]+1, t, want)
	}
	return fmt.Errorf("at the end: want %s", want)
}

func (r *reader) either(depth int) (node, error) {
	left, err := r.both(depth)
	for err == nil {
		if _, is := r.take("or"); !is {
			break
		}
		var right node
		right, err = r.both(depth)
		left = or{left, right}
	}
	return left, err
}

func (r *reader) both(depth int) (node, error) {
	left, err := r.one(depth)
	for err == nil {
		if _, is := r.take("and"); !is {
			break
		}
		var right node
		right, err = r.one(depth)
		left = and{left, right}
	}
	return left, err
}

func (r *reader) one(depth int) (node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d times", maxDepth)
	}
	if _, is := r.take("not"); is {
		of, err := r.one(depth + 1)
		return not{of}, err
	}
	if _, is := r.take("("); is {
		in, err := r.either(depth + 1)
		if _, closed := r.take(")"); err == nil && !closed {
			err = r.unexpected(")")
		}
		return in, err
	}
	left, err := r.operand()
	if err != nil {
		return nil, err
	}
	how, is := r.take("==", "!=", "<", "<=", ">", ">=")
	if !is {
		return left, nil
	}
	right, err := r.operand()
	return comparison{left, right, how}, err
}

func (r *reader) operand() (node, error) {
	t := r.peek()
	switch {
	case t == "true", t == "false":
		r.next++
		return literal{t == "true"}, nil
	case t == "null":
		r.next++
		return literal{nil}, nil
	case field.MatchString(t) && !slices.Contains([]string{"and", "or", "not"}, t):
		r.next++
		if !slices.Contains(r.fields, t) {
			r.fields = append(r.fields, t)
		}
		return path(strings.Split(t, ".")), nil
	case strings.HasPrefix(t, `"`):
		text, err := strconv.Unquote(t)
		if err != nil {
			return nil, r.unexpected("a text like \"protected\"")
		}
		r.next++
		return literal{text}, nil
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil {
		return nil, r.unexpected("a field, a number, a text in double quotes, true, false or null")
	}
	r.next++
	return literal{n}, nil
}
