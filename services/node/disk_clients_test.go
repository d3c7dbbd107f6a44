package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/certtest"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/services/capture"
	"tidemark.dev/services/journal"
)

// blank is a disk that nobody reads or writes in these tests.
type blank struct{ block.StatusDevice }

func (blank) Size() int64  { return 1 << 20 }
func (blank) Flush() error { return nil }

// serveBoth serves a disk d of the job web over TCP, as capture does and as the journal
// does, and gives the addresses.
func serveBoth(t *testing.T, e *env) (addrs []string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(certtest.Quiet.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	tap, err := tapServers{e}.Serve(capture.Listen{Network: "tcp", Address: at},
		[]capture.ServedDisk{{Group: "web", Name: "d", Device: blank{}, Connected: func() {}, Disconnected: func(bool) {}}}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	export, err := nbdServers{e.door(), e.places}.Serve("127.0.0.1:0", []journal.ServedDisk{{Group: "web", Name: "d", Device: blank{}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { export.Close() })
	_, rest, _ := strings.Cut(export.URI("d"), "://")
	return []string{at, strings.TrimSuffix(rest, "/d")}
}

// nbdinfo has a real client open the disk d; certificates is a directory, "": no TLS.
func nbdinfo(t *testing.T, addr, certificates string) error {
	t.Helper()
	uri := "nbd://" + addr + "/d"
	if certificates != "" {
		uri = "nbds://" + addr + "/d?tls-certificates=" + certificates
	}
	out, err := exec.CommandContext(t.Context(), "nbdinfo", "--size", uri).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestOnlyACertificateThatNamesTheJobOpensItsDisks(t *testing.T) {
	a := certtest.New(t)
	site := a.Issue(t.TempDir())
	certificates := map[string]struct {
		dir   string
		names bool
	}{
		"names the job":            {a.Issue(t.TempDir(), "tidemark:web").ForClients(t), true},
		"names several":            {a.Issue(t.TempDir(), "https://example.com/web", "tidemark:shop", "tidemark:we*").ForClients(t), true},
		"names all":                {a.Issue(t.TempDir(), "tidemark:*").ForClients(t), true},
		"names another":            {a.Issue(t.TempDir(), "tidemark:shop", "tidemark:web2", "tidemark:we", "other:web").ForClients(t), false},
		"is the site's own":        {site.ForClients(t), false},
		"is of somebody else":      {certtest.New(t).Issue(t.TempDir(), "tidemark:web").ForClients(t), false},
		"is none, and without TLS": {"", false},
	}
	for _, who := range []DiskClients{"", AnyCertificate} {
		e := &env{tls: bus.TLSFiles(site), diskClients: who, clock: clock.System, log: slog.New(slog.DiscardHandler)}
		for _, addr := range serveBoth(t, e) {
			for what, c := range certificates {
				opens := c.names || who == AnyCertificate && strings.HasPrefix(what, "names") || who == AnyCertificate && what == "is the site's own"
				if err := nbdinfo(t, addr, c.dir); (err == nil) != opens {
					t.Errorf("%q, at %s a certificate that %s: %v", who, addr, what, err)
				}
			}
		}
	}
}

// Over TCP without TLS whoever reaches the port has the disks, so that takes a word of
// the machine's own configuration.
func TestDisksAreServedWithoutTLSOnlyWhereThatIsAllowed(t *testing.T) {
	const at = "127.0.0.1:0"
	for _, who := range []DiskClients{"", ByName, AnyCertificate} {
		e := &env{diskClients: who, clock: clock.System, log: slog.New(slog.DiscardHandler)}
		s, err := tapServers{e}.Serve(capture.Listen{Network: "tcp", Address: at}, nil, nil)
		ready := tapServers{e}.Ready(capture.Listen{Network: "tcp", Address: at})
		x, xerr := nbdServers{e.door(), e.places}.Serve(at, nil)
		xready := nbdServers{e.door(), e.places}.Ready(at)
		for _, err := range []error{err, ready, xerr, xready} {
			if !cdp.Is(err, cdp.Invalid) || !strings.Contains(cdp.HintOf(err), "--disk-clients anybody") {
				t.Errorf("%q: %v, %v, %v (%s)", who, s, x, err, cdp.HintOf(err))
			}
		}
		if f := (tapServers{e}).Look(at); f.Outside == "" {
			t.Errorf("%q: apply is not told", who)
		}
	}
	a := certtest.New(t)
	for _, files := range []bus.TLSFiles{{}, bus.TLSFiles(a.Issue(t.TempDir()))} {
		e := &env{tls: files, diskClients: Anybody, clock: clock.System, log: slog.New(slog.DiscardHandler)}
		if f := (tapServers{e}).Look(at); f.Outside != "" {
			t.Error(f.Outside)
		}
		if uri := (tapServers{e}).URI(capture.Listen{Network: "tcp", Address: at}, "d"); uri != "nbd://"+at+"/d" {
			t.Error(uri)
		}
		for _, addr := range serveBoth(t, e) {
			if err := nbdinfo(t, addr, ""); err != nil {
				t.Error(err)
			}
		}
	}
	if err := (Config{Sites: []SiteConfig{{Name: "dr", DiskClients: "all"}}}).check(); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "sites[0].diskClients") {
		t.Error(err)
	}
}

// Whoever reaches a port can be refused as often as he likes: the log gets one line a
// minute, and the number of the others.
func TestRefusedClientsDoNotFillTheLog(t *testing.T) {
	c := clock.NewSimulated(time.Unix(0, 0))
	var told []string
	r := &refusals{clock: c, tell: func(err error) { told = append(told, err.Error()) }}
	for range 1000 {
		r.add(nbd.Event{Kind: nbd.EventRefused, Export: "d", Peer: nbd.Peer{Addr: "10.0.0.9:1"}, Err: errors.New("no")})
	}
	if len(told) != 1 || told[0] != "client 10.0.0.9:1: disk d: no" {
		t.Fatal(told)
	}
	c.Advance(refusalsEvery)
	r.add(nbd.Event{Kind: nbd.EventRefused, Err: errors.New("no")})
	if len(told) != 2 || told[1] != "no (and 999 more refused before)" {
		t.Error(told)
	}
}
