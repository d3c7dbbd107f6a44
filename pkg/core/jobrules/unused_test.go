package jobrules

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

func TestUnusedNamesTheExportsAndTheirClients(t *testing.T) {
	if err := Unused("web", nil); err != nil {
		t.Error(err)
	}
	err := Unused("web", []api.Export{{ID: "x-2"}, {ID: "x-1", Clients: []string{"192.0.2.1:7", "192.0.2.2:7"}}})
	if want := "x-1 (connected: 192.0.2.1:7, 192.0.2.2:7), x-2"; !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
