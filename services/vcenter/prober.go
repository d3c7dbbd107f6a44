package vcenter

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// NetProber checks VMs over the network.
type NetProber struct{}

var _ Prober = NetProber{}

// Ping implements Prober with the system's ping: raw sockets need root.
func (NetProber) Ping(ctx context.Context, ip string) error {
	path, err := exec.LookPath("ping")
	if err != nil {
		return fmt.Errorf("there is no program ping on the transporter")
	}
	out, err := exec.CommandContext(ctx, path, "-c", "1", "-W", "2", ip).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s does not answer: %s", ip, tail(string(out)))
	}
	return nil
}

// Port implements Prober.
func (NetProber) Port(ctx context.Context, ip string, port int) error {
	d := net.Dialer{Timeout: 3 * time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return c.Close()
}

// Script implements Prober.
func (NetProber) Script(ctx context.Context, path string, env []string) (string, error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // its children may keep its output open
	out, err := cmd.CombinedOutput()
	text := tail(string(out))
	if err != nil {
		return text, fmt.Errorf("%s: %w: %s", path, err, text)
	}
	return text, nil
}

// tail is the end of a program's output.
func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 500 {
		s = "..." + strings.ToValidUTF8(s[len(s)-500:], "")
	}
	return s
}
