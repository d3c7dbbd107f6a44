package metrics

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tidemark.dev/pkg/contract/event"
)

// named are the metrics that a text names.
func named(text string) map[string]bool {
	out := map[string]bool{}
	for _, name := range regexp.MustCompile(`\btidemark_[a-z_]+`).FindAllString(text, -1) {
		out[name] = true
	}
	return out
}

func exist(t *testing.T) map[string]bool {
	t.Helper()
	s, out := listen(t), map[string]bool{}
	to := make(chan *prometheus.Desc)
	go func() { defer close(to); s.Describe(to) }()
	for d := range to {
		out[regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	return out
}

// Rules and documents name only metrics and states that exist, and the documents name
// all of them.
func TestRulesAndDocumentsNameWhatExists(t *testing.T) {
	const dir = "../../../deploy/prometheus"
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	files = append(files, "../../../deploy/grafana/tidemark.json")
	metrics, texts := exist(t), map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
		for name := range named(string(text)) {
			// A histogram has three series.
			of := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			if !metrics[name] && !metrics[of] {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
	if got := named(texts["README.md"]); !maps.Equal(got, metrics) {
		t.Errorf("the table has %v, there are %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(metrics)))
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(texts["tidemark.json"]), &board); err != nil || len(board.Panels) < 10 {
		t.Error("the dashboard is not one:", len(board.Panels), err)
	}
	for _, p := range board.Panels {
		for _, x := range p.Targets {
			if len(named(x.Expr)) == 0 {
				t.Errorf("a panel of the dashboard shows %q", x.Expr)
			}
		}
	}
	states := map[string][]string{"capture": event.CaptureStates(), "journal": event.JournalStates()}
	for _, list := range states {
		for _, state := range list {
			if !strings.Contains(texts["README.md"], "`"+state+"`") {
				t.Errorf("the documents lack the state %s", state)
			}
		}
	}
	used := regexp.MustCompile(`service="(\w+)", state=~?"([^"]+)"`).FindAllStringSubmatch(texts["alerts.yaml"], -1)
	if len(used) == 0 || len(used) != strings.Count(texts["alerts.yaml"], "tidemark_group_state") {
		t.Fatal("a rule asks for states in a form that this test does not know:", used)
	}
	for _, m := range used {
		for state := range strings.SplitSeq(m[2], "|") {
			if !slices.Contains(states[m[1]], state) {
				t.Errorf("a rule names the state %q, which %s does not have", state, m[1])
			}
		}
	}
}
