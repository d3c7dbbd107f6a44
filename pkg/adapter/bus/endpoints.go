package bus

import (
	"errors"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/contract/subjects"
)

// serviceVersion is what `nats micro ls` shows: the version of the subjects.
const serviceVersion = "1.0.0"

// descriptions are what `nats micro ls` says of each service.
var descriptions = map[string]string{
	subjects.Capture:      "sees, orders and sends the writes of source disks",
	subjects.Journal:      "stores writes, keeps recovery points and serves them",
	subjects.Scheduler:    "owns jobs, and sets recovery points at the pace of their RPO",
	subjects.RPOMonitor:   "measures the RPO and reports breaches",
	subjects.Failover:     "runs failovers",
	subjects.VCenter:      "speaks to the site's vCenter, and owns sites and jobs on VMs",
	subjects.Orchestrator: "owns and runs site recovery jobs",
}

// listenAt has handlers called with the requests for a service's endpoints, by endpoint,
// until stop, which is to be called even after an error.
func (c *Conn) listenAt(service string, handlers map[string]nats.MsgHandler) (stop func() error, err error) {
	if service == subjects.Setup {
		return c.listenQuietly(service, handlers)
	}
	about := maps.Clone(c.says)
	if about == nil {
		about = map[string]string{}
	}
	about["site"] = string(c.site)
	svc, err := micro.AddService(c.nc, micro.Config{
		Name: microName(service), Version: serviceVersion, Description: descriptions[service], Metadata: about,
	})
	if err != nil {
		return func() error { return nil }, err
	}
	for name, h := range handlers {
		// A copy: micro looks at its own when the handler returns, which is long before
		// the answer is sent.
		copied := micro.HandlerFunc(func(r micro.Request) {
			h(&nats.Msg{Subject: r.Subject(), Reply: r.Reply(), Header: nats.Header(r.Headers()), Data: r.Data()})
		})
		if err = svc.AddEndpoint(name, copied, micro.WithEndpointSubject(subjects.RequestSubject(c.site, service, name))); err != nil {
			break
		}
	}
	return svc.Stop, err
}

// listenQuietly is listenAt without what `nats micro` asks. micro answers that wherever
// the caller wants, and set-up's user may publish anywhere.
func (c *Conn) listenQuietly(service string, handlers map[string]nats.MsgHandler) (stop func() error, err error) {
	var all []*nats.Subscription
	stop = func() (err error) {
		for _, s := range all {
			err = errors.Join(err, s.Drain())
		}
		return err
	}
	for name, h := range handlers {
		s, err := c.nc.QueueSubscribe(subjects.RequestSubject(c.site, service, name), service, h)
		if err != nil {
			return stop, err
		}
		all = append(all, s)
	}
	return stop, nil
}
