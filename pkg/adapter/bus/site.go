package bus

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// How much is kept, and how long.
const (
	commandAge      = 24 * time.Hour
	commandBytes    = 128 << 20 // a peer chooses the names in its commands, and so how many there are
	eventAge        = 7 * 24 * time.Hour
	eventBytes      = 1 << 30
	deadLetterAge   = 30 * 24 * time.Hour
	deadLetterBytes = 64 << 20
	auditAge        = 400 * 24 * time.Hour
	auditBytes      = 48 << 20
	auditRecord     = 16 << 10 // the longest record
	bucketBytes     = 256 << 20
	specHistory     = 10
	stateHistory    = 2 // one to fall back on
	epochHistory    = 1
)

// EnsureSite creates the streams and buckets of the connection's own site, and the
// consumers that its services take their commands from, or updates their
// configuration. The connection is set-up's. It may be called at any time, any number
// of times.
func EnsureSite(ctx context.Context, conn *Conn) error {
	if err := conn.ensure(ctx, siteStreams(string(conn.site))); err != nil {
		return err
	}
	for _, c := range declare(conn.site, nil).consumers {
		if err := conn.ensureConsumer(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// handlerConfig is the consumer that a service takes its commands from.
func handlerConfig(site cdp.Site, service string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: service, FilterSubject: subjects.Root + "cmd.v1." + string(site) + "." + service + ".>",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: handleTime, MaxAckPending: 64,
	}
}

// siteStreams are the streams and buckets of a site.
func siteStreams(site string) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: subjects.StreamCommands, Subjects: []string{subjects.Root + "cmd.v1." + site + ".>"},
			Description: "commands to the services of " + site + ", one pending per subject",
			Retention:   jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
			DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, MaxAge: commandAge, MaxBytes: commandBytes,
		},
		{
			Name: subjects.StreamEvents, Subjects: []string{subjects.Root + "evt.v1." + site + ".>"},
			Description: "events of " + site, Discard: jetstream.DiscardOld,
			MaxAge: eventAge, MaxBytes: eventBytes, AllowDirect: true, RePublish: announced(),
		},
		{
			Name: subjects.StreamDeadLetters, Subjects: []string{subjects.Root + "dlq.v1." + site + ".>"},
			Description: "refused input of " + site + ", with the reason", Discard: jetstream.DiscardOld,
			MaxAge: deadLetterAge, MaxBytes: deadLetterBytes, AllowDirect: true,
		},
		{
			Name: subjects.StreamAudit, Subjects: []string{subjects.AuditSubject(cdp.Site(site), "*", "*")},
			Description: "what the services of " + site + " were asked, by whom, and what came of it", Discard: jetstream.DiscardOld,
			MaxAge: auditAge, MaxBytes: auditBytes, MaxMsgSize: auditRecord, DenyDelete: true, DenyPurge: true, AllowDirect: true,
		},
		bucket(subjects.BucketSpec, specHistory, "specs of "+site),
		bucket(subjects.BucketState, stateHistory, "states of runs at "+site),
		bucket(subjects.BucketEpoch, epochHistory, "fencing epochs of the groups captured at "+site),
	}
}

// announced has the server tell followers what a stream has stored.
func announced() *jetstream.RePublish {
	return &jetstream.RePublish{Source: ">", Destination: subjects.Stored(">"), HeadersOnly: true}
}

// bucket is the stream behind a key-value bucket, as nats.go would make it.
func bucket(name string, history int64, description string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + name, Subjects: []string{"$KV." + name + ".>"}, Description: description,
		MaxMsgsPerSubject: history, MaxBytes: bucketBytes, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true, RePublish: announced(),
	}
}

func (c *Conn) ensure(ctx context.Context, streams []jetstream.StreamConfig) error {
	for _, cfg := range streams {
		cfg.Storage = jetstream.FileStorage
		if err := ensureOne(ctx, c.js, cfg); err != nil {
			return err
		}
	}
	return nil
}

// ensureOne makes a stream, or updates one that is not as wanted. One that is stays as it
// is: an update interrupts the stream's readers.
func ensureOne(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	now, err := js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err := js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return wrap(err, "make stream", cfg.Name)
		}
		return nil
	}
	if err == nil && !asWanted(cfg, now.CachedInfo().Config) {
		_, err = js.UpdateStream(ctx, cfg)
	}
	if errors.Is(err, jetstream.ErrStreamSourceNotSupported) {
		return nil // another process is restarting the copy
	}
	return wrap(err, "update stream", cfg.Name)
}

// asWanted reports whether a stream has the configuration that is wanted, apart from what
// the server adds by itself.
func asWanted(want, have jetstream.StreamConfig) bool { return len(streamDiffers(want, have)) == 0 }
