package appliance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/clock"
)

// command is what the appliance runs, with the files that it needs in place.
type command struct {
	args, env []string
}

// program is tidemark, the only one there is.
const program = "/tidemark"

// user is who the services run as.
const user = 901

// install writes the files of the settings to dir, which is in memory, and says what is
// to be run on the data in state.
func (s Settings) install(dir, state string) (command, error) {
	put := func(name, content string) (string, error) {
		path := filepath.Join(dir, name)
		if content == "" {
			return "", nil
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o400); err != nil {
			return "", err
		}
		return path, owned(path)
	}
	paths := map[string]string{}
	for name, content := range map[string]string{"credentials.json": s.Credentials, "ca.pem": s.CA, "cert.pem": s.Cert, "key.pem": s.Key, "up.yaml": s.Up, "vcenter.yaml": s.VCenter} {
		path, err := put(name, content)
		if err != nil {
			return command{}, err
		}
		paths[name] = path
	}
	if err := owned(state); err != nil {
		return command{}, err
	}
	if err := s.login(paths["vcenter.yaml"], state); err != nil {
		return command{}, err
	}
	c := command{env: []string{"TIDEMARK_TRANSPORTER=" + s.Name, "TIDEMARK_DIR=" + state, "HOME=" + state, "TMPDIR=/tmp", "PATH=/"}}
	if s.Up != "" {
		c.args = []string{"up", "--config", paths["up.yaml"]}
		return c, nil
	}
	c.args = append([]string{"serve"}, s.Services...)
	c.args = append(c.args, "--site", s.Site, "--connect-timeout", "1m")
	for _, p := range s.Peers {
		c.args = append(c.args, "--peer", p)
	}
	if s.DiskClients != "" {
		c.args = append(c.args, "--disk-clients", s.DiskClients)
	}
	if s.Credentials != "" {
		c.args = append(c.args, "--credentials", paths["credentials.json"])
	}
	c.env = append(c.env, "TIDEMARK_NATS="+s.NATS, "TIDEMARK_TLS_CA="+paths["ca.pem"], "TIDEMARK_TLS_CERT="+paths["cert.pem"], "TIDEMARK_TLS_KEY="+paths["key.pem"])
	return c, nil
}

// login puts the login of the site's vCenter where the vcenter service looks for it. The
// file itself stays in memory.
func (s Settings) login(path, state string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Join(state, s.Site, "vcenters")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := owned(d); err != nil {
			return err
		}
	}
	link := filepath.Join(dir, "vcenter.yaml")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(path, link)
}

// owned gives a file to the services.
func owned(path string) error {
	if os.Getuid() != 0 {
		return nil // a test
	}
	return os.Chown(path, user, user)
}

// serve runs the command until ctx ends, and again whenever it ends by itself.
func (m *machine) serve(ctx context.Context, c command) {
	pause := clock.Backoff{Clock: clock.System, Min: time.Second, Max: 30 * time.Second}
	for ctx.Err() == nil {
		m.console.set("state", "running: tidemark %s", c.args)
		began := time.Now()
		err := m.once(ctx, c)
		if ctx.Err() != nil {
			m.ended = "the services ended in order"
			if err != nil {
				m.ended = "the services ended: " + err.Error()
			}
			return
		}
		m.console.set("state", "the services ended, and are started again: %v", err)
		if time.Since(began) > time.Minute {
			pause.Reset()
		}
		_ = pause.Wait(ctx)
	}
}

// once runs the command. When ctx ends, the services have a while to end in order.
func (m *machine) once(ctx context.Context, c command) error {
	cmd := exec.Command(program, c.args...)
	cmd.Env, cmd.Dir = c.env, data
	cmd.Stdout, cmd.Stderr = m.console, m.console
	cmd.SysProcAttr = confined()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(unix.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// confined is how the services run: as a user of their own whose only capability is to
// open disks, and to write to the files in /sys that look for new ones.
func confined() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, AmbientCaps: []uintptr{unix.CAP_DAC_OVERRIDE}}
}
