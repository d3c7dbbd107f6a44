package bustest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
)

// Spoil publishes to streams of a site's server, by subject, as somebody does who is
// not Tidemark: whatever the content is.
func Spoil(t testing.TB, url string, as bus.Credential, values map[string]string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(as.User, as.Password))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for subject, value := range values {
		if _, err := nc.Request(subject, []byte(value), 30*time.Second); err != nil {
			t.Fatal(subject, err)
		}
	}
}
