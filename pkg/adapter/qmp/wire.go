package qmp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxLine bounds one message of the server, in bytes. The longest known,
// query-qmp-schema's reply, has about 200 KB.
const MaxLine = 16 << 20

type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        uint64 `json:"id"`
}

// message is anything the server sends. Exactly one of Greeting, Return, Error
// and Event is set in a valid one.
type message struct {
	Greeting *struct {
		Version struct {
			QEMU    Version `json:"qemu"`
			Package string  `json:"package"`
		} `json:"version"`
	} `json:"QMP"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
	ID *uint64 `json:"id"`
}

func readGreeting(r *bufio.Reader) (Version, error) {
	m, line, err := readMessage(r)
	if err != nil {
		return Version{}, err
	}
	if m.Greeting == nil {
		return Version{}, &ProtocolError{Problem: "no greeting", Line: line}
	}
	v := m.Greeting.Version.QEMU
	v.Package = m.Greeting.Version.Package
	return v, nil
}

func readMessage(r *bufio.Reader) (message, []byte, error) {
	line, err := readLine(r)
	if err != nil {
		return message{}, nil, err
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return m, line, &ProtocolError{Problem: err.Error(), Line: line}
	}
	return m, line, nil
}

// readLine returns the next line without its end. The end of the stream within
// a line is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case len(line) > MaxLine:
			return nil, &ProtocolError{Problem: fmt.Sprintf("line of more than %d bytes", MaxLine), Line: line}
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// read is the connection's reading goroutine.
func (c *Client) read(r *bufio.Reader) {
	defer close(c.done)
	for {
		m, line, err := readMessage(r)
		if err == nil {
			err = c.dispatch(m, line)
		}
		if err != nil {
			c.fail(fmt.Errorf("connection lost: %w", err))
			return
		}
	}
}

func (c *Client) dispatch(m message, line []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.Event != "" && m.Return == nil && m.Error == nil:
		at := time.Unix(m.Timestamp.Seconds, m.Timestamp.Microseconds*1000)
		c.queue(Event{Name: m.Event, Data: m.Data, At: at})
		return nil
	case m.Event != "" || (m.Return == nil) == (m.Error == nil):
		return &ProtocolError{Problem: "neither a reply nor an event", Line: line}
	case m.ID == nil:
		return &ProtocolError{Problem: "reply without id", Line: line}
	}
	reply, ok := c.waiting[*m.ID]
	if !ok {
		return &ProtocolError{Problem: "reply to a command that was not sent", Line: line}
	}
	delete(c.waiting, *m.ID)
	if reply != nil {
		reply <- m
	}
	return nil
}
