package bus

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// serveResets forwards a peer's requests to reset the consumers of its copies to
// JetStream, and corrects the answers.
//
// The server reports the consumer's position where the copy expects the position
// it was reset to. A consumer that is still active may have sent a message in
// between that nobody received: the copy would count it as received and lose it.
//
// The copy of a bucket is sent from the beginning, and skips what it has. The server
// would go on after the newest message that was acknowledged. But when a value that
// was sent is overwritten, it takes that value for acknowledged, with all before it,
// though they may have been sent into a dead link.
//
// A copy unsubscribes before it asks, and subscribes again after the answer. A consumer
// that has not noticed the former yet would send into the void at once, and the copy
// would find that out by the next heartbeat and ask again, for as long as the machine is
// so slow.
//
// A copy that has more than the stream is filled anew: see compareCopy.
func (c *Conn) serveResets(peer cdp.Site) (*nats.Subscription, error) {
	anew := map[string]anewStep{} // the copies, by stream, that are to be filled anew
	return c.nc.QueueSubscribe(subjects.CopyReset(c.site, peer, "*"), "reset", func(m *nats.Msg) {
		if !strings.HasPrefix(m.Reply, peerReplies) {
			return
		}
		token := strings.Split(m.Subject, ".")
		stream, consumer := token[3], token[4]
		var asked compareRequest
		switch {
		case json.Unmarshal(m.Data, &asked) == nil && asked.Has != 0:
			past := c.endsBefore(stream, asked.Has)
			if past {
				anew[stream] = toForget
			}
			reply, _ := json.Marshal(compareReply{past})
			c.sent(c.nc.Publish(m.Reply, reply), m.Subject)
			return
		case anew[stream] == toForget:
			anew[stream] = toBegin
			c.sent(c.nc.Publish(m.Reply, []byte(forget)), m.Subject)
			return
		}
		request := nats.NewMsg(subjects.API + ".CONSUMER.RESET." + stream + "." + consumer)
		request.Header, request.Data = m.Header, m.Data
		if strings.HasPrefix(stream, "KV_") || anew[stream] == toBegin {
			request.Data = []byte(`{"seq":1}`)
		}
		c.awaitUnbound(stream, consumer)
		answer, err := c.nc.RequestMsg(request, askTimeout)
		if err != nil {
			return // the peer asks again
		}
		reply := nats.NewMsg(m.Reply)
		reply.Header, reply.Data = answer.Header, delivered(answer.Data)
		if !bytes.Equal(reply.Data, answer.Data) { // it was not refused
			delete(anew, stream)
		}
		c.sent(c.nc.PublishMsg(reply), m.Subject)
	})
}

// awaitUnbound waits until a consumer knows that nobody listens to it, for a second at
// most: somebody else may.
func (c *Conn) awaitUnbound(stream, consumer string) {
	for range 50 {
		m, err := c.nc.Request(subjects.API+".CONSUMER.INFO."+stream+"."+consumer, nil, askTimeout)
		var info struct {
			Bound bool `json:"push_bound"`
		}
		if err != nil || json.Unmarshal(m.Data, &info) != nil || !info.Bound {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// delivered rewrites the answer to a reset: nothing was delivered since.
func delivered(answer []byte) []byte {
	var all map[string]json.RawMessage
	var at struct {
		Reset uint64 `json:"reset_seq"`
	}
	if json.Unmarshal(answer, &all) != nil || json.Unmarshal(answer, &at) != nil || at.Reset == 0 {
		return answer // a refusal
	}
	all["delivered"], _ = json.Marshal(map[string]uint64{"consumer_seq": 0, "stream_seq": at.Reset - 1})
	out, err := json.Marshal(all)
	if err != nil {
		return answer
	}
	return out
}
