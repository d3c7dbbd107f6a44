package appliance

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

const (
	retry     = 3 * time.Second // until what was wrong is looked at again
	growEvery = 10 * time.Second
)

// Run is the first process of the appliance. It ends only when the machine is to be
// switched off or started again, which its caller must not outlive: by its power button, or
// by Ctrl-Alt-Del. The services end in order before, and the data disk is unmounted.
func Run(version string) error {
	if os.Getpid() != 1 {
		return cdp.Errorf(cdp.Invalid, "run the appliance", "", "this is not the first process of a machine").
			WithHint("the kernel of Tidemark's own OVA starts this command; run services with: tidemark serve")
	}
	m := &machine{console: newConsole(version), ntp: make(chan []string, 1), ended: "no service ran"}
	m.console.set("state", "starting")
	err := prepare()
	for ; err != nil; err = prepare() {
		m.failed(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) // Ctrl-Alt-Del comes as SIGINT then
	end, next := unix.LINUX_REBOOT_CMD_RESTART, "restarts"
	var off atomic.Bool
	onPowerButton(ctx, func() { off.Store(true); stop() })
	m.run(ctx)
	if off.Load() {
		end, next = unix.LINUX_REBOOT_CMD_POWER_OFF, "is off"
	}
	unix.Sync()
	left := "the data disk is unmounted"
	if err := unix.Unmount(data, 0); err != nil {
		left = "the data disk is not unmounted: " + err.Error()
	}
	m.console.set("state", "%s, %s; it %s", m.ended, left, next)
	return unix.Reboot(end)
}

// machine is the appliance while it runs.
type machine struct {
	console *console
	ntp     chan []string // servers that became known
	ended   string        // how the services ended
}

// failed shows what is wrong, and waits a while.
func (m *machine) failed(err error) {
	text := err.Error()
	if hint := cdp.HintOf(err); hint != "" {
		text += "\n" + hint
	}
	m.console.set("state", "%s", text)
	time.Sleep(retry)
}

// until repeats a step until it succeeds, or ctx ends.
func until[T any](ctx context.Context, m *machine, step func() (T, error)) (x T) {
	for ctx.Err() == nil {
		var err error
		if x, err = step(); err == nil {
			return x
		}
		m.failed(err)
	}
	return x
}

func (m *machine) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	go linkDisks(ctx)
	s := until(ctx, m, func() (Settings, error) { return ReadSettings(guestinfo) })
	_ = unix.Sethostname([]byte(s.Name))
	m.console.set("name", "%s", s.Name)
	m.join(ctx, &wg, s)
	wg.Go(func() { m.keepTime(ctx, s.NTP) })
	disk := until(ctx, m, mountData)
	wg.Go(func() { m.tendData(ctx, disk) })
	c := until(ctx, m, func() (command, error) { return s.install(etc, data) })
	m.serve(ctx, c)
}

// join configures the network, and keeps its lease.
func (m *machine) join(ctx context.Context, wg *sync.WaitGroup, s Settings) {
	name := until(ctx, m, func() (string, error) {
		name, err := card()
		if err == nil {
			err = up(name)
		}
		return name, err
	})
	if s.Address.IsValid() {
		n := network{address: s.Address, gateway: s.Gateway, dns: s.DNS}
		until(ctx, m, func() (struct{}, error) { return struct{}{}, configure(name, n) })
		m.console.set("address", "%s (%s)", s.Address, name)
		return
	}
	m.console.set("address", "asking a DHCP server at %s", name)
	l := until(ctx, m, func() (*leased, error) { return m.lease(ctx, name, s, nil) })
	wg.Go(func() {
		for ctx.Err() == nil {
			sleep(ctx, max(time.Until(l.due), retry))
			old := l
			if time.Now().After(l.end) {
				old = nil // the address may be another's by now
			}
			if now, err := m.lease(ctx, name, s, old); err == nil {
				l = now
			} else if ctx.Err() == nil {
				m.console.set("address", "%s (%s); its lease ends at %s and was not renewed: %v", l.address, name, l.end.UTC().Format(time.TimeOnly), err)
			}
		}
	})
}

// lease gets or renews the lease of a card, and configures the card.
func (m *machine) lease(ctx context.Context, name string, s Settings, old *leased) (*leased, error) {
	l, err := askDHCP(ctx, name, s.Name, old)
	if err != nil {
		return nil, err
	}
	if len(s.DNS) > 0 {
		l.dns = s.DNS
	}
	if err := configure(name, l.network); err != nil {
		return nil, err
	}
	m.console.set("address", "%s (%s, by DHCP)", l.address, name)
	if len(l.ntp) > 0 {
		select {
		case m.ntp <- l.ntp:
		default:
		}
	}
	return l, nil
}

// tendData makes the file system grow with its disk.
func (m *machine) tendData(ctx context.Context, disk string) {
	for ctx.Err() == nil {
		text := ""
		if err := growData(disk); err != nil {
			text = "; " + err.Error()
		}
		var st unix.Statfs_t
		if err := unix.Statfs(data, &st); err == nil {
			m.console.set("journals", "%d of %d MiB are free%s", st.Bavail*uint64(st.Bsize)>>20, st.Blocks*uint64(st.Bsize)>>20, text)
		}
		sleep(ctx, growEvery)
	}
}

// keepTime sets the clock by the first server that answers, and goes on.
func (m *machine) keepTime(ctx context.Context, servers []string) {
	own := len(servers) > 0
	for ctx.Err() == nil {
		wait := ntpEvery
		if len(servers) > 0 {
			server, by, err := syncClock(ctx, servers)
			switch {
			case err != nil:
				m.console.set("clock", "not set: %v", err)
				wait = 10 * retry
			case by.Abs() >= ntpStep:
				m.console.set("clock", "set by %s; it was wrong by %s", server, by.Round(time.Millisecond))
				wait = retry // whether it is right now
			default:
				m.console.set("clock", "by %s", server)
			}
		} else {
			m.console.set("clock", "the host's, as it was at the start: there is no NTP server")
		}
		select {
		case given := <-m.ntp:
			if !own {
				servers = given
			}
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// syncClock moves the clock by what the first server that answers says, and returns both.
func syncClock(ctx context.Context, servers []string) (server string, by time.Duration, err error) {
	for _, s := range servers {
		by, failed := askNTP(ctx, s)
		if failed == nil {
			failed = setClock(by)
		}
		if failed == nil {
			return s, by, nil
		}
		if err == nil {
			err = fmt.Errorf("%s: %w", s, failed)
		}
	}
	return "", 0, err
}

func sleep(ctx context.Context, d time.Duration) { _ = clock.Sleep(ctx, clock.System, d) }
