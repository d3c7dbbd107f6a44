// Package mailer hands e-mails to a mail server over SMTP.
//
// It sends a password only over TLS, or to a server on this machine. What it never does:
// it keeps no queue. A message that no server took is the caller's to send again.
package mailer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Security says how the connection to the server is protected.
type Security string

const (
	StartTLS Security = "starttls" // the default
	TLS      Security = "tls"      // from the first byte on, as on port 465
	Plain    Security = "none"     // not at all
)

// Server is a mail server and the sender's account there.
type Server struct {
	// Address is host:port.
	Address  string
	Security Security
	// Roots are the authorities that its certificate is checked against; nil: the
	// system's.
	Roots *x509.CertPool
	// Username and Password; empty: the server asks for none.
	Username, Password string
	From               string // an address
}

// Message is an e-mail.
type Message struct {
	// ID is the same for the same message. A message that is sent again keeps it, so that
	// mail programs show it once.
	ID            string
	To            []string // addresses
	Subject, Text string
}

const opSend = "send e-mail"

// Send returns when the server has taken the message for all its receivers. Transient:
// the server cannot be reached, or says that it may take it later. Invalid: it refuses
// the sender, a receiver or the message.
func (s Server) Send(ctx context.Context, m Message) error {
	data, err := s.encode(m)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return cdp.Errorf(cdp.Invalid, opSend, s.Address, "write the server as host:port")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return s.fault(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	secure := &tls.Config{ServerName: host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	if s.Security == TLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err == nil && cmp.Or(s.Security, StartTLS) == StartTLS {
		if has, _ := c.Extension("STARTTLS"); !has {
			return cdp.Errorf(cdp.Invalid, opSend, s.Address, "the server offers no STARTTLS").WithHint("use security: tls, or security: none without a password")
		}
		err = c.StartTLS(secure)
	}
	if err == nil && s.Username != "" {
		err = c.Auth(smtp.PlainAuth("", s.Username, s.Password, host))
	}
	if err == nil {
		err = c.Mail(s.From)
	}
	for _, to := range m.To {
		if err == nil {
			err = c.Rcpt(to)
		}
	}
	if err == nil {
		err = write(c, data)
	}
	if err != nil {
		return s.fault(err)
	}
	_ = c.Quit() // the server has the message
	return nil
}

func write(c *smtp.Client, data []byte) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// fault gives an error of the server its kind.
func (s Server) fault(err error) error {
	kind := cdp.Transient
	var said *textproto.Error
	var unknown *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &said) && said.Code >= 500, errors.As(err, &unknown):
		kind = cdp.Invalid
	case !errors.As(err, &said) && !errors.As(err, &network) && strings.Contains(err.Error(), "unencrypted connection"):
		kind = cdp.Invalid
	}
	return &cdp.Error{Op: opSend, Kind: kind, Subject: s.Address, Cause: err}
}

// encode is the message as it is sent. A header has one line, whatever it was given.
func (s Server) encode(m Message) ([]byte, error) {
	for _, a := range append([]string{s.From}, m.To...) {
		if x, err := mail.ParseAddress(a); err != nil || x.Address != a {
			return nil, cdp.Errorf(cdp.Invalid, opSend, a, "it is not an e-mail address")
		}
	}
	_, domain, _ := strings.Cut(s.From, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", s.From}, {"To", strings.Join(m.To, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(m.Subject), " "))},
		{"Date", time.Now().Format(time.RFC1123Z)}, {"Message-ID", "<" + m.ID + "@" + domain + ">"}, {"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, err := w.Write([]byte(strings.ReplaceAll(m.Text, "\n", "\r\n")))
	if err == nil {
		err = w.Close() // flushes the last line
	}
	return b.Bytes(), err
}
