package spec

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/schemas"
)

// The defaults that the schemas state, and the reference prints, are those that
// Parse fills in.
func TestSchemasStateTheDefaults(t *testing.T) {
	for path, want := range map[string]any{
		"replicationjob.json /spec/rpo":                   Duration(DefaultRPO).String(),
		"replicationjob.json /spec/journal/mode":          string(DefaultMode),
		"replicationjob.json /spec/journal/history":       Duration(DefaultHistory).String(),
		"replicationjob.json /spec/failover/commitWindow": Duration(recovery.DefaultWindow).String(),
		"replicationjob.json /spec/failover/commitPolicy": string(recovery.PolicyNone),
		"replicationjob.json /spec/checks/timeout":        Duration(DefaultCheckTimeout).String(),
		"replicationjob.json /spec/target/suffix":         DefaultSuffix,
		"site.json /spec/vsphere/devices":                 DefaultDevices,
	} {
		file, at, _ := strings.Cut(path, " ")
		data, err := fs.ReadFile(schemas.FS, "spec/v1/"+file)
		if err != nil {
			t.Fatal(err)
		}
		var node map[string]any
		if err := json.Unmarshal(data, &node); err != nil {
			t.Fatal(err)
		}
		for _, f := range strings.Split(at, "/")[1:] {
			node = node["properties"].(map[string]any)[f].(map[string]any)
		}
		got, _ := node["default"].(string)
		if d, err := ParseDuration(got); node["x-type"] == "duration" && err == nil {
			got = d.String()
		}
		if got != want {
			t.Errorf("%s: the schema says %q, Parse fills in %q", path, got, want)
		}
	}
}
