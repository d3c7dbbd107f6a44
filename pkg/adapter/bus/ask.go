package bus

import (
	"context"
	"encoding/json"
	"time"
)

// askTimeout is how long JetStream may take to answer, here or at a peer.
const askTimeout = 2 * time.Second

// answerTimeout bounds each request to JetStream that goes through nats.go, whatever time
// its caller has: an answer that was lost with a connection must not take all of it.
const answerTimeout = 5 * time.Second

// ask sends one request to JetStream and decodes the answer into out, unless
// that is nil. A refusal comes back as an *apiError.
func (c *Conn) ask(ctx context.Context, subject string, in, out any) error {
	var data []byte
	if in != nil {
		data, _ = json.Marshal(in) // our own structs of numbers and strings
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return err
	}
	var e struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return err
	}
	if e.Error != nil {
		return e.Error
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(m.Data, out)
}
