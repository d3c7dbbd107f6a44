package bus_test

import (
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// A site that is dialled has another key for the link than the one that dials. Both say
// that the sites cannot meet, why, and what to do. A peer that is merely away is no such
// trouble, and neither is a link that is up.
func TestSitesThatCannotMeetSayWhy(t *testing.T) {
	start := func(cfg bus.ServerConfig) *bus.Server {
		cfg.StoreDir = t.TempDir()
		srv, err := bus.StartServer(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.Close)
		return srv
	}
	seed, key := bus.NewLinkKey()
	_, other := bus.NewLinkKey()
	good := start(bus.ServerConfig{Site: "dr", LeafListen: "127.0.0.1:0", Links: []bus.Link{{Peer: "prod", Key: key}}})
	bad := start(bus.ServerConfig{Site: "dr", LeafListen: "127.0.0.1:0", Links: []bus.Link{{Peer: "prod", Key: other}}})
	dials := func(addr string) *bus.Server {
		return start(bus.ServerConfig{Site: "prod", Links: []bus.Link{{Peer: "dr", Dial: addr, Seed: seed}}})
	}
	joined, refused, alone := dials(good.LeafAddr()), dials(bad.LeafAddr()), dials("127.0.0.1:1")
	for _, srv := range []*bus.Server{refused, bad} {
		bustest.Eventually(t, "words", func() bool { return srv.LinkTrouble() != nil })
		err := srv.LinkTrouble()
		if err != nil && (!strings.Contains(err.Error(), "the sites cannot meet: the site that is dialled does not know the key") || !strings.Contains(cdp.HintOf(err), "tidemark site keys")) {
			t.Errorf("%v (hint %s)", err, cdp.HintOf(err))
		}
	}
	// Who asks the site's set-up is told, too.
	ctx := t.Context()
	conn, err := bus.Connect(ctx, bus.Config{Site: "dr", Name: "setup", Server: bad})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _ = bus.KeepSite(ctx, conn, "prod") }()
	bustest.Eventually(t, "what set-up says", func() bool {
		var r api.BusApplyReply
		err := conn.Request(ctx, "dr", subjects.Setup, api.BusApply, api.BusApplyRequest{DryRun: true}, &r)
		return err == nil && slices.ContainsFunc(r.Differences, func(d api.BusDifference) bool {
			return d.IsLink() && strings.HasPrefix(d.Text, "the sites cannot meet: ") && strings.Contains(d.Hint, "tidemark site keys")
		})
	})
	bustest.Eventually(t, "joined", func() bool { return joined.Joined() == 1 && good.Joined() == 1 })
	for _, srv := range []*bus.Server{joined, good, alone} {
		if err := srv.LinkTrouble(); err != nil {
			t.Error(err)
		}
	}
}

// Each thing that a server says of a link that cannot come up has its cause in words;
// what passes by itself, and what is of no link, has none.
func TestWordsAboutLinksAreExplained(t *testing.T) {
	for said, want := range map[string]string{
		`127.0.0.1:4 - lid:5 - TLS leafnode handshake error: tls: failed to verify certificate: x509: certificate signed by unknown authority`:           "different authorities",
		`10.0.0.1:7422 - lid:5 - TLS leafnode handshake error: remote error: tls: bad certificate`:                                                       "different authorities",
		`127.0.0.1:4 - lid:5 - TLS leafnode handshake error: tls: failed to verify certificate: x509: certificate is valid for dr.example, not 10.0.0.1`: "another host",
		`127.0.0.1:4 - lid:5 - TLS leafnode handshake error: x509: certificate has expired or is not yet valid: current time is after`:                   "not valid now",
		`127.0.0.1:4 - lid:5 - TLS leafnode handshake error: tls: client didn't provide a certificate`:                                                   "presents no certificate",
		`127.0.0.1:4 - lid:5 - TLS leafnode handshake error: tls: first record does not look like a TLS handshake`:                                       "uses TLS",
		`127.0.0.1:4 - lid:5 - authentication error - Nkey "UABC"`:                                                                                       "does not know the key",
		`Error trying to connect as leafnode to remote server "account.domain.example:7422" (attempt 3): dial tcp: no such host`:                         "",
		`127.0.0.1:4 - cid:5 - authentication error - User "x"`:                                                                                          "",
	} {
		got, hint := bus.Explained(said)
		if want == "" && got != "" || !strings.Contains(got, want) || (got == "") != (hint == "") {
			t.Errorf("%s: it means %q (%s), want %q", said, got, hint, want)
		}
	}
}
