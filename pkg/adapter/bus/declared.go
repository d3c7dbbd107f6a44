package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// declared is what a site's server must have, whatever jobs there are.
type declared struct {
	streams   []jetstream.StreamConfig
	consumers []declaredConsumer
}

type declaredConsumer struct {
	stream string
	jetstream.ConsumerConfig
}

func declare(site cdp.Site, peers []cdp.Site) (d declared) {
	d.streams = siteStreams(string(site))
	for _, service := range subjects.Services() {
		if r, ok := roleOf(service); ok && r.handles {
			d.consumers = append(d.consumers, declaredConsumer{subjects.StreamCommands, handlerConfig(site, service)})
		}
	}
	for _, p := range peers {
		d.streams = append(d.streams, peerStreams(site, p)...)
		for _, stream := range copied {
			d.consumers = append(d.consumers, declaredConsumer{stream, copyConfig(site, p, stream)})
		}
	}
	return d
}

// Differences are what of the site's streams and consumers is not as it is declared.
func Differences(ctx context.Context, conn *Conn, peers []cdp.Site) ([]api.BusDifference, error) {
	var out []api.BusDifference
	add := func(what, name, text string) {
		out = append(out, api.BusDifference{What: what, Name: name, Text: text})
	}
	d := declare(conn.site, peers)
	for _, want := range d.streams {
		want.Storage = jetstream.FileStorage
		have, err := conn.streamInfo(ctx, want.Name)
		if err != nil {
			return nil, err
		}
		if have == nil {
			add("stream", want.Name, "missing")
			continue
		}
		if len(want.Sources) > 0 && len(have.Config.Sources) == 0 {
			want.Sources = nil // FollowPeer is restarting the copy
		}
		for _, text := range streamDiffers(want, have.Config) {
			add("stream", want.Name, text)
		}
	}
	for _, want := range d.consumers {
		have, err := conn.consumerInfo(ctx, want.stream, want.Durable)
		if err != nil {
			return nil, err
		}
		if have == nil {
			add("consumer", want.stream+"/"+want.Durable, "missing")
			continue
		}
		for _, text := range differ(want.ConsumerConfig, have.Config, true) {
			add("consumer", want.stream+"/"+want.Durable, text)
		}
	}
	return out, nil
}

// applyDeclared makes what is not as declared so, and says what that was, and why a link
// cannot come up, if this process runs the site's server. The source of a
// copy is FollowPeer's alone: added too early it would store messages twice.
func (c *Conn) applyDeclared(ctx context.Context, peers []cdp.Site, r api.BusApplyRequest) (reply api.BusApplyReply, err error) {
	wrong, err := Differences(ctx, c, peers)
	reply.Differences = append([]api.BusDifference{}, wrong...)
	if c.server != nil {
		if why := c.server.LinkTrouble(); why != nil {
			reply.Differences = append(reply.Differences, api.BrokenLink(c.site, errors.Unwrap(why).Error(), cdp.HintOf(why)))
		}
	}
	is := func(what, name string) bool {
		return slices.ContainsFunc(wrong, func(d api.BusDifference) bool { return d.What == what && d.Name == name })
	}
	d := declare(c.site, peers)
	for _, want := range d.streams {
		if err != nil || r.DryRun || !is("stream", want.Name) {
			continue
		}
		var have *jetstream.StreamInfo
		if have, err = c.streamInfo(ctx, want.Name); err != nil {
			continue
		}
		if have != nil && len(have.Config.Sources) == 0 {
			want.Sources = nil
		}
		err = c.ensure(ctx, []jetstream.StreamConfig{want})
	}
	for _, want := range d.consumers {
		if err == nil && !r.DryRun && is("consumer", want.stream+"/"+want.Durable) {
			err = c.ensureConsumer(ctx, want)
		}
	}
	return reply, err
}

// ensureConsumer makes a consumer, or updates it.
func (c *Conn) ensureConsumer(ctx context.Context, want declaredConsumer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if want.DeliverSubject != "" {
		_, err = c.js.CreateOrUpdatePushConsumer(ctx, want.stream, want.ConsumerConfig)
	} else {
		_, err = c.js.CreateOrUpdateConsumer(ctx, want.stream, want.ConsumerConfig)
	}
	return wrap(err, "make consumer", want.stream+"/"+want.Durable)
}

// streamInfo is a stream as it is; nil if there is none.
func (c *Conn) streamInfo(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	return info, c.info(ctx, "STREAM.INFO."+name, name, &info)
}

// consumerInfo is a consumer as it is; nil if there is none.
func (c *Conn) consumerInfo(ctx context.Context, stream, name string) (info *jetstream.ConsumerInfo, err error) {
	return info, c.info(ctx, "CONSUMER.INFO."+stream+"."+name, stream+"/"+name, &info)
}

func (c *Conn) info(ctx context.Context, request, name string, out any) error {
	err := wrap(c.ask(ctx, subjects.API+"."+request, nil, out), "look at the bus", name)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}

// streamDiffers says in what a stream is not as wanted, apart from what the server adds
// by itself.
func streamDiffers(want, have jetstream.StreamConfig) []string {
	have.Replicas, have.Metadata = want.Replicas, want.Metadata
	if want.Duplicates == 0 {
		have.Duplicates = 0
	}
	for w, h := range map[*int64]*int64{&want.MaxMsgs: &have.MaxMsgs, &want.MaxBytes: &have.MaxBytes, &want.MaxMsgsPerSubject: &have.MaxMsgsPerSubject} {
		*w, *h = max(*w, 0), max(*h, 0) // no limit is 0 or -1
	}
	want.MaxConsumers, have.MaxConsumers = max(want.MaxConsumers, 0), max(have.MaxConsumers, 0)
	want.MaxMsgSize, have.MaxMsgSize = max(want.MaxMsgSize, 0), max(have.MaxMsgSize, 0)
	return differ(want, have, false)
}

// differ names each field in which two configurations differ; with part only those that
// want has.
func differ(want, have any, part bool) (out []string) {
	fields := func(v any) (m map[string]any) {
		data, _ := json.Marshal(v) // structs of the client library
		_ = json.Unmarshal(data, &m)
		return m
	}
	w, h := fields(want), fields(have)
	all := maps.Clone(w)
	if !part {
		maps.Copy(all, h)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !reflect.DeepEqual(w[name], h[name]) {
			out = append(out, fmt.Sprintf("%s is %s, and should be %s", name, text(h[name]), text(w[name])))
		}
	}
	return out
}

func text(v any) string {
	if v == nil {
		return "not set"
	}
	data, _ := json.Marshal(v) // it came from JSON
	return string(data)
}
