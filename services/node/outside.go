package node

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/cdp"
)

// outside is orchestrator.Outside: this machine's programs, and the network.
type outside struct {
	scripts string // the only directory with programs that may be run
	mail    string // the file that names the mail server
}

func (o outside) Scripts() ([]string, error) {
	all, err := os.ReadDir(o.scripts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &cdp.Error{Op: "list scripts", Kind: cdp.Internal, Subject: o.scripts, Cause: err}
	}
	var out []string
	for _, f := range all {
		if _, err := o.program(f.Name()); err == nil {
			out = append(out, f.Name())
		}
	}
	return out, nil
}

// program is the path of a script that may be run: a file in the directory itself.
func (o outside) program(name string) (string, error) {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return "", cdp.Errorf(cdp.Invalid, "find script", name, "it must be the name of a file in %s", o.scripts)
	}
	path := filepath.Join(o.scripts, name)
	return path, checkProgram(path)
}

// outputKept is how much of a program's output is kept, in bytes.
const outputKept = 1000

func (o outside) Script(ctx context.Context, file string, args, env []string) (string, error) {
	path, err := o.program(file)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = o.scripts, append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // a child of it may keep the output open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	text := ending(out.String())
	if err != nil {
		return "", cdp.Errorf(cdp.Conflict, "run script", file, "%w: %s", err, text)
	}
	return text, nil
}

func (o outside) Post(ctx context.Context, url string, body []byte) error {
	status, err := send(ctx, http.MethodPost, url, body)
	if err == nil && (status < 200 || status > 299) {
		err = cdp.Errorf(cdp.Conflict, "post", url, "the answer is status %d", status)
	}
	return err
}

func (o outside) Get(ctx context.Context, url string) (int, error) {
	return send(ctx, http.MethodGet, url, nil)
}

// send sends a request and gives the status of the answer. It follows no redirect:
// what answers is the address that the plan names.
func send(ctx context.Context, method, url string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, &cdp.Error{Op: "send request", Kind: cdp.Invalid, Subject: url, Cause: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	tr := &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}
	c := http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return 0, &cdp.Error{Op: "send request", Kind: cdp.Transient, Subject: url, Cause: err}
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

func (o outside) Dial(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return &cdp.Error{Op: "connect", Kind: cdp.Transient, Subject: address, Cause: err}
	}
	return c.Close()
}
