package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Prometheus accepts the alert rules; each rule sounds when it should and is silent when
// it should be: while a job is seeding for the first time, too.
func TestAlertRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts-test.yaml"}} {
		c := exec.Command("promtool", args...)
		c.Dir = top + "deploy/prometheus"
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v (make tools installs it)\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := read(t, "deploy/prometheus/alerts-test.yaml")
	silent, sounds, _ := strings.Cut(tests, "\n  - name: what a job loses")
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, "deploy/prometheus/alerts.yaml"), -1) {
		if !strings.Contains(silent, m[1]+"}") || !strings.Contains(sounds, "alertname: "+m[1]+"\n") {
			t.Errorf("alerts-test.yaml does not show when %s is silent, and when it sounds", m[1])
		}
	}
}

// Prometheus can read every query of the dashboard, as Grafana asks it for all sites and
// jobs, and for several. Panels lie beside each other and have ids of their own.
func TestTheDashboardsQueries(t *testing.T) {
	var board struct {
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/tidemark.json")), &board); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	ask := func(expr string) {
		for _, all := range []string{".*", "(dr|prod)"} {
			expr := strings.NewReplacer("$site", all, "$job", all).Replace(expr)
			if strings.Contains(expr, "$") {
				t.Errorf("no variable of the dashboard is in %s", expr)
			}
			rules = append(rules, rule{fmt.Sprintf("query%d", len(rules)), expr})
		}
	}
	label := regexp.MustCompile(`^label_values\((.+), \w+\)$`)
	for _, v := range board.Templating.List {
		if v.Type == "query" {
			m := label.FindStringSubmatch(v.Query)
			if m == nil {
				t.Fatalf("the variable %s: %s", v.Name, v.Query)
			}
			ask(m[1])
		}
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || len(p.Targets) == 0 {
			t.Errorf("%s has the id of another, or no query", p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" || at[0] >= 24 {
					t.Fatalf("%s lies over %s, or beside the page", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
		for _, x := range p.Targets {
			ask(x.Expr)
		}
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}}) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput()
	if err != nil || len(rules) < 40 || !strings.Contains(string(out), fmt.Sprintf("%d rules found", len(rules))) {
		t.Errorf("promtool: %v (make tools installs it); %d queries\n%s", err, len(rules), out)
	}
}
