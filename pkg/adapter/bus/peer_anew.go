package bus

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// compareRequest, sent where a peer's requests for a reset arrive, says how much of a
// stream the copy has.
type compareRequest struct {
	Has uint64 `json:"has"`
}

// compareReply says whether that is more than the stream has. Then the next reset of the
// copy begins with the first message.
type compareReply struct {
	Anew bool `json:"anew"`
}

// compareCopy has a copy filled again from the start of the peer's stream if it has more
// than that: the peer's store was put back from an older copy, or lost its end. The server
// takes everything up to where the copy was for received, and would never copy what
// follows. What the copy has stays: events and records come again, and keys get the peer's
// values.
func compareCopy(ctx context.Context, conn *Conn, cfg jetstream.StreamConfig) (restarted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	has, err := copiedUpTo(ctx, conn, cfg.Name)
	if err != nil || has == 0 {
		return false, err
	}
	src, reply := cfg.Sources[0], compareReply{}
	err = conn.ask(ctx, src.External.APIPrefix+".CONSUMER.RESET."+src.Name+"."+src.Consumer.Name, compareRequest{has}, &reply)
	if err != nil || !reply.Anew {
		return false, nil // it cannot be reached, or all is well
	}
	conn.notify(Notice{What: "copied anew", Err: cdp.Errorf(cdp.Conflict, "follow", cfg.Name,
		"the peer has less of %s than its copy here: its store was put back from an older copy", src.Name)})
	return true, restartCopy(ctx, conn.js, cfg)
}

// endsBefore reports whether a stream of this site ends before its message number no.
func (c *Conn) endsBefore(stream string, no uint64) bool {
	if no == 0 || !slices.Contains(copied, stream) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	s, err := c.js.Stream(ctx, stream)
	return err == nil && s.CachedInfo().State.LastSeq < no
}

// copiedUpTo is the newest message of the peer's stream that a copy has; 0 if it has none.
func copiedUpTo(ctx context.Context, conn *Conn, name string) (uint64, error) {
	s, err := conn.js.Stream(ctx, name)
	if err != nil {
		return 0, err
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return 0, nil
	}
	m, err := s.GetMsg(ctx, state.LastSeq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	fields := strings.Fields(m.Header.Get("Nats-Stream-Source")) // stream, sequence, ...
	if len(fields) < 2 {
		return 0, nil
	}
	return strconv.ParseUint(fields[1], 10, 64)
}

// anewStep is what the next reset of a copy that is to be filled anew does.
type anewStep int

const (
	toForget anewStep = iota + 1 // it is answered with forget
	toBegin                      // it begins with the first message
)

// forget is an answer to a reset that has the copy forget where it was. The server gives
// it for a stream that was made anew.
const forget = `{"type":"io.nats.jetstream.api.v1.consumer_reset_response","error":{"code":400,"err_code":10225,"description":"consumer's stream identity does not match: the store was put back"}}`
