package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

func TestTransporters(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	d.apply(0, twoSites)
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.TransporterDeploy: working(api.Progress{Text: "uploading", Moved: 1, Total: 4}, api.Progress{Text: "uploading", Moved: 4, Total: 4}, api.Progress{Text: "waiting for its journal"}, api.Progress{Done: true}),
		api.TransporterList:   says(api.TransportersReply{Transporters: []inventory.Appliance{{Name: "tm-dr", Host: "esx11", Power: "on", Answers: true, Holds: []string{"shop-web01", "web"}}}}),
		api.TransporterRemove: fails(cdp.Errorf(cdp.Conflict, "remove transporter", "tm-dr", "it holds the journals of shop-web01, web").WithHint("their recovery points would be gone; if that is meant: --force")),
	})
	secret := write(t, filepath.Join(t.TempDir(), "creds"), "hush")
	args := strings.Fields("transporter deploy --site dr --name tm-dr --ova /srv/t.ova --host esx11 --datastore ds1 --network Mgmt --set nats=nats://x:1 --set a.b=c=d --set-file creds=" + secret)
	out, errs := d.do(0, args...)
	wants(t, out, "tm-dr deployed at site dr")
	wants(t, errs, "tm-dr: uploading", "20%", "100%", "waiting for its journal")
	wants(t, f.saw(), `"settings":{"a.b":"c=d","creds":"hush","nats":"nats://x:1"}`, `"ova":"/srv/t.ova"`)
	f.set(api.TransporterDeploy, working(api.Progress{Done: true}))
	out, _ = d.do(0, "transporter", "upgrade", "tm-dr", "--ova", "/srv/t2.ova", "--host", "esx11", "--datastore", "ds1", "--network", "Mgmt")
	wants(t, out, "tm-dr upgraded")
	wants(t, f.saw(), `"upgrade":true`)
	out, errs = d.do(0, "transporter", "list") // the source is dead
	wants(t, out, "tm-dr", "yes", "shop-web01 web")
	wants(t, errs, "site prod:")
	d.do(exitUnreachable, "transporter", "list", "--site", "prod")
	_, errs = d.do(exitConflict, "transporter", "remove", "tm-dr")
	wants(t, errs, "holds the journals", "--force")
	f.set(api.TransporterRemove, working(api.Progress{Done: true}))
	d.do(0, "transporter", "remove", "tm-dr", "--force")
	wants(t, f.saw(), `{"name":"tm-dr","force":true}`)
	for want, more := range map[string][]string{
		"--host is required": {"--name", "x"}, "set twice": append(args[2:], "--set", "nats=y"), "write KEY=VALUE": append(args[2:], "--set", "nonsense"), "/nowhere": append(args[2:], "--set-file", "k=/nowhere"),
	} {
		_, errs := d.do(exitUsage, append([]string{"transporter", "deploy"}, more...)...)
		wants(t, errs, want)
	}
	_, errs = d.do(exitNotFound, append(args, "--site", "moon")...)
	wants(t, errs, "site dr is linked with prod")
	// What never ends is given up, and says where to look.
	f.set(api.TransporterDeploy, working(api.Progress{Text: "uploading"}))
	f.set(api.TransporterRemove, working(api.Progress{Text: "waits for what is being done: uploading"}))
	for _, args := range [][]string{args, {"transporter", "remove", "tm-dr"}} {
		_, errs = d.do(exitUnreachable, append(args, "--timeout", "300ms")...)
		wants(t, errs, "--timeout", "work that waits for something else has not begun", "tidemark transporter list")
		lacks(t, errs, "by itself", "tidemark status")
	}
	// What the service says is said once.
	f.set(api.TransporterDeploy, fails(cdp.Errorf(cdp.Conflict, "upgrade transporter", "tm-dr", "it keeps the journals of web")))
	_, errs = d.do(exitConflict, append([]string{"transporter", "upgrade", "tm-dr"}, args[6:14]...)...)
	wants(t, errs, "tidemark: upgrade transporter tm-dr: it keeps the journals of web\n")
	f.set(api.TransporterDeploy, fails(cdp.Errorf(cdp.Transient, "power on", "tm-dr", "the host does not respond")))
	_, errs = d.do(exitUnreachable, append([]string{"transporter", "upgrade", "tm-dr"}, args[6:14]...)...)
	wants(t, errs, "tidemark: upgrade transporter tm-dr: power on tm-dr: the host")
}

// TestFinishOutlivesAService: a service that is started again is waited for.
func TestFinishOutlivesAService(t *testing.T) {
	d := newDesk(t)
	n := 0
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.TransporterRemove: func(req []byte) (any, error) {
		if len(req) == 0 {
			return nil, nil
		}
		n++
		switch n {
		case 1:
			return api.Progress{Text: "powering off"}, nil
		case 2:
			return nil, cdp.Errorf(cdp.Transient, "ask vcenter", "transporter-remove", "nobody answers at site dr")
		}
		return api.Progress{Done: true}, nil
	}})
	_, errs := d.do(0, "transporter", "remove", "tm")
	wants(t, errs, "powering off", "asking again")
}

// TestFinishTakesAnAnswer: what the service says has failed is not asked again.
func TestFinishTakesAnAnswer(t *testing.T) {
	d := newDesk(t)
	n := 0
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.TransporterRemove: func(req []byte) (any, error) {
		if n++; n <= 2 { // the first is the test's own
			return api.Progress{Text: "powering off"}, nil
		}
		return nil, cdp.Errorf(cdp.Transient, "power off", "tm", "the host does not respond")
	}})
	_, errs := d.do(exitUnreachable, "transporter", "remove", "tm")
	wants(t, errs, "the host does not respond")
}
