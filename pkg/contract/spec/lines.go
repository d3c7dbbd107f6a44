package spec

import (
	"regexp"
	"strconv"
	"strings"
)

// document is one document of a file, with the number of its first line.
type document struct {
	text string
	line int
}

// split cuts a file at its --- lines; documents that have
// only comments are left out.
func split(data []byte) []document {
	var docs []document
	var cur []string
	start := 1
	flush := func() {
		for _, l := range cur {
			if t := strings.TrimSpace(l); t != "" && t[0] != '#' {
				docs = append(docs, document{strings.Join(cur, "\n"), start})
				break
			}
		}
		cur = nil
	}
	for i, l := range strings.Split(string(data), "\n") {
		l = strings.TrimSuffix(l, "\r")
		if l == "---" || strings.HasPrefix(l, "--- ") || strings.HasPrefix(l, "---\t") {
			flush()
			start = i + 1
			l = l[3:]
		}
		if l == "..." {
			flush()
			start = i + 2
			continue
		}
		cur = append(cur, l)
	}
	flush()
	return docs
}

var keyRE = regexp.MustCompile(`^(\s*(?:- +)*)(?:"([^"]+)"|'([^']+)'|([^\s:#'"\[{-][^:]*?|-[^\s:][^:]*?))\s*:(?:\s|$)`)

// lineOf finds the line of the field at path, if it is in block style; otherwise, and
// for a missing field, it is the line of what contains the field.
func (d document) lineOf(path string) int {
	lines := strings.Split(d.text, "\n")
	at, indent := 0, -1
	item := false // the token before was an index: its fields begin on its own line
	found := 0
	for _, tok := range strings.Split(strings.Trim(path, "/"), "/") {
		n, isIndex := strconv.Atoi(tok)
		next, col := -1, 0
		for i, level := at, -1; i < len(lines); i++ {
			l := lines[i]
			t := strings.TrimSpace(l)
			if t == "" || t[0] == '#' {
				continue
			}
			lead := len(l) - len(strings.TrimLeft(l, " "))
			if isIndex == nil {
				// Items may be indented as deep as the key that contains them.
				if lead < indent || (lead == indent && !strings.HasPrefix(t, "-")) {
					break
				}
				if level < 0 && strings.HasPrefix(t, "-") {
					level = lead
				}
				if lead != level || !strings.HasPrefix(t, "-") {
					continue
				}
				if n == 0 {
					next, col = i, lead
					break
				}
				n--
				continue
			}
			m := keyRE.FindStringSubmatch(l)
			column := lead
			if m != nil {
				column = len(m[1])
			}
			if lead <= indent && (i > at || !item) {
				break
			}
			if m == nil || column <= indent {
				continue
			}
			if level < 0 {
				level = column
			}
			if column == level && m[2]+m[3]+m[4] == tok {
				next, col = i, column
				break
			}
		}
		if next < 0 {
			break
		}
		found, indent = next, col
		at, item = next, isIndex == nil
		if !item {
			at = next + 1
		}
	}
	return d.line + found
}

var yamlLineRE = regexp.MustCompile(`line (\d+): `)

// yamlProblem makes a problem of the YAML reader's error.
func (d document) yamlProblem(err error) Problem {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "yaml: ")
	p := Problem{Line: d.line, Rule: "yaml", Text: text}
	if m := yamlLineRE.FindStringSubmatchIndex(text); m != nil {
		n, _ := strconv.Atoi(text[m[2]:m[3]])
		p.Line, p.Text = d.line+n-1, strings.TrimSpace(text[:m[0]]+text[m[1]:])
	}
	return p
}
