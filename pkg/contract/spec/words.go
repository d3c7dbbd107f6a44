package spec

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// durations are the fields that hold one, by name.
var durations = []string{"rpo", "failIfRpoExceeds", "history", "mergeEvery", "lock", "timeout",
	"objective", "retryEvery", "wait", "below", "youngerThan", "for", "coolDown", "above"}

// patterns are the rules of the schemas' patterns in words.
var patterns = map[string]string{
	`^[a-z][a-z0-9-]{0,39}$`:  "must begin with a lower-case letter and contain only lower-case letters, digits and -, at most 40 characters",
	`^[A-Za-z0-9._ -]{1,40}$`: "must contain only letters, digits, spaces and . _ -, 1 to 40 characters",
	`^(nats|tls)://[^ ]+$`:    "must be like nats://host:4222",
}

// types are the types of JSON in words.
var types = map[string]string{"string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
	"array": "a list", "object": "a section of fields", "null": "empty"}

var (
	countRE   = regexp.MustCompile(`^(min|max)[A-Za-z]+: got ([-0-9.,e+]+), want ([-0-9.,e+]+)$`)
	patternRE = regexp.MustCompile(`(?s)^'(.*)' does not match pattern '(.*)'$`)
	typeRE    = regexp.MustCompile(`^got ([a-z]+), want ([a-z ]+)$`)
	quotedRE  = regexp.MustCompile(`'([^']*)'`)
	equalRE   = regexp.MustCompile(`^items at ([0-9]+) and ([0-9]+) are equal$`)
)

// plain rewrites what a schema refused for whoever wrote the file. Text that is plain
// already stays.
func plain(p Problem) string {
	if slices.Contains(durations, path.Base(p.Path)) && slices.Contains([]string{"type", "minLength", "pattern"}, p.Rule) {
		return "must be like 5s, 1m, 2h"
	}
	switch p.Rule {
	case "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "minProperties":
		if m := countRE.FindStringSubmatch(p.Text); m != nil {
			return count(p.Rule, strings.ReplaceAll(m[2], ",", ""), strings.ReplaceAll(m[3], ",", ""))
		}
	case "pattern":
		if m := patternRE.FindStringSubmatch(p.Text); m != nil {
			if words := patterns[m[2]]; words != "" {
				return fmt.Sprintf("%q: %s", strings.ReplaceAll(m[1], `\'`, "'"), words)
			}
		}
	case "type":
		if m := typeRE.FindStringSubmatch(p.Text); m != nil {
			var want []string
			for _, t := range strings.Split(m[2], " or ") {
				want = append(want, types[t])
			}
			return fmt.Sprintf("must be %s, but is %s", strings.Join(want, " or "), types[m[1]])
		}
	case "required":
		if strings.HasPrefix(p.Text, "missing propert") {
			names := quoted(p.Text)
			return and(names) + map[bool]string{true: " is missing", false: " are missing"}[len(names) == 1]
		}
	case "additionalProperties":
		if strings.HasPrefix(p.Text, "additional properties") {
			names := quoted(p.Text)
			return map[bool]string{true: "there is no field ", false: "there are no fields "}[len(names) == 1] + and(names)
		}
	case "enum", "const":
		if list, is := strings.CutPrefix(p.Text, "value must be "); is {
			return "must be " + quotedRE.ReplaceAllString(list, "$1")
		}
	case "uniqueItems":
		if m := equalRE.FindStringSubmatch(p.Text); m != nil {
			return "entries " + m[1] + " and " + m[2] + " are the same"
		}
	}
	return p.Text
}

func count(rule, got, want string) string {
	some := func(one, many string) string {
		if want == "1" {
			return "1 " + one
		}
		return want + " " + many
	}
	switch rule {
	case "minItems":
		return "needs at least " + some("entry", "entries")
	case "maxItems":
		return "has " + got + " entries, but may have at most " + want
	case "minLength":
		if got == "0" {
			return "must not be empty"
		}
		return "needs at least " + some("character", "characters")
	case "maxLength":
		return "has " + got + " characters, but may have at most " + want
	case "minProperties":
		return "needs at least " + some("field", "fields")
	case "minimum":
		return "is " + got + ", but must be at least " + want
	}
	return "is " + got + ", but must be at most " + want
}

func quoted(text string) []string {
	var names []string
	for _, m := range quotedRE.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

func and(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
