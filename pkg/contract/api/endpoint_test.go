package api

import (
	"context"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

func TestAnswer(t *testing.T) {
	echo := Answer(func(_ context.Context, r GroupRequest) (any, error) { return r.Group, nil })
	for req, want := range map[string]cdp.GroupID{"": "", "{}": "", ` {"group":"shop"} `: "shop"} {
		if got, err := echo(context.Background(), []byte(req)); err != nil || got != want {
			t.Errorf("%q: %v, %v", req, got, err)
		}
	}
	for req, says := range map[string]string{
		`{"grup":"shop"}`: "grup", `{"group":1}`: "group", `{"group":"a"} {}`: "after the end", `{"group":`: "EOF", `nonsense`: "invalid",
	} {
		if _, err := echo(context.Background(), []byte(req)); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", req, err)
		}
	}
}
