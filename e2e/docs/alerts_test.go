package docs

import (
	"os/exec"
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
