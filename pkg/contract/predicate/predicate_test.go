package predicate_test

import (
	"reflect"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/predicate"
)

type status struct {
	State    string   `json:"state"`
	Seconds  *float64 `json:"rpoSeconds,omitempty"`
	Running  bool     `json:"running"`
	Journal  *journal `json:"journal,omitempty"`
	Problems []struct {
		Text string `json:"text"`
	} `json:"problems"`
}

type journal struct {
	Points int `json:"points"`
}

func TestConditionsOverAStatus(t *testing.T) {
	five := 5.0
	s := status{State: "protected", Seconds: &five, Running: true, Journal: &journal{12}}
	s.Problems = append(s.Problems, struct {
		Text string `json:"text"`
	}{"the disk is nearly full"})
	for text, want := range map[string]bool{
		`state == "protected" and rpoSeconds < 30`:                   true,
		`state != "protected" or running`:                            true,
		`not running or journal.points >= 12 and journal.points > 2`: true,
		`not (running or state == "x")`:                              false,
		`rpoSeconds <= 4.9`:                                          false,
		`rpoSeconds > -1 and 5 <= rpoSeconds and 5 >= rpoSeconds`:    true,
		`problems.0.text == "the disk is nearly full"`:               true,
		`problems.1.text == null and problems.x == null`:             true,
		`state.more == null`:                                         true,
		`running == true and running != false`:                       true,
		`state == "a\"b"`:                                            false,
	} {
		p, err := predicate.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, seen, err := p.Holds(s); got != want || err != nil {
			t.Errorf("%s: %v %v (%s)", text, got, err, seen)
		}
	}
}

// What cannot be read, and what cannot be compared, is said exactly.
func TestWhatAConditionCannotSay(t *testing.T) {
	for text, want := range map[string]string{
		``:                               "at the end: want a field, a number",
		`state = "x"`:                    "at character 7: '=' is no field",
		`state == `:                      "at the end: want a field, a number",
		`(running`:                       "at the end: want )",
		`running running`:                "at character 9: found running, want and, or, or the end",
		`and`:                            "at character 1: found and, want a field",
		`state == "\q"`:                  `at character 10: found "\q", want a text like "protected"`,
		strings.Repeat("not ", 100):      "nested deeper than 50 times",
		strings.Repeat("(", 100):         "nested deeper than 50 times",
		`état == 1`:                      "at character 1: 'é' is no field",
		`state < 3`:                      `"protected" and 3: only numbers can be compared with <`,
		`rpoSeconds < 3`:                 "not known and 3: only numbers",
		`state`:                          `it comes to "protected", not to true or false`,
		`not state`:                      `"protected" is neither true nor false`,
		`state and running`:              `"protected" is neither true nor false`,
		`running or (problems == null)`:  "",
		`journal.points > 2 or running`:  "not known and 2",
		`running and rpoSeconds == null`: "",
	} {
		p, err := predicate.Parse(text)
		if err == nil {
			_, _, err = p.Holds(status{State: "protected", Running: true})
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestFieldsThatAStatusCannotHave(t *testing.T) {
	p, err := predicate.Parse(`stat == "x" or state == "x" and problems.3.text == journal.points and problems.x == journal.nosuch or state.x == 1 or stat == 1`)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Unknown(reflect.TypeFor[status]()), " "); got != "stat problems.x journal.nosuch state.x" {
		t.Error(got)
	}
	if _, seen, _ := p.Holds(status{State: "y"}); !strings.HasPrefix(seen, `stat is not known, state is "y"`) {
		t.Error(seen)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`state == "protected" and not (rpoSeconds < 30 or problems.0.text != null)`)
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := predicate.Parse(text); err == nil {
			_, _, _ = p.Holds(status{})
		}
	})
}
