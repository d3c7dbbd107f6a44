package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
)

const specVersion = "1.0"

// Encode gives the binary mode: headers and payload.
func Encode(e Event) (header map[string][]string, data []byte) {
	header = map[string][]string{
		"ce-specversion": {specVersion},
		"ce-id":          {escape(e.ID)},
		"ce-source":      {escape(e.Source)},
		"ce-type":        {escape(e.Type)},
		"Content-Type":   {"application/json"},
	}
	if e.Subject != "" {
		header["ce-subject"] = []string{escape(e.Subject)}
	}
	if !e.Time.IsZero() {
		header["ce-time"] = []string{e.Time.UTC().Format(time.RFC3339Nano)}
	}
	return header, e.Data
}

// EncodeStructured gives the structured mode: one JSON object.
func EncodeStructured(e Event) ([]byte, error) {
	env := envelope{SpecVersion: specVersion, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, ContentType: "application/json", Data: e.Data}
	if !e.Time.IsZero() {
		env.Time = e.Time.UTC().Format(time.RFC3339Nano)
	}
	data, err := json.Marshal(env)
	if err != nil {
		return nil, &cdp.Error{Op: "encode event", Kind: cdp.Invalid, Subject: e.Type, Cause: err}
	}
	return data, nil
}

type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Time        string          `json:"time,omitempty"`
	ContentType string          `json:"datacontenttype,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Base64      string          `json:"data_base64,omitempty"`
}

// Decode reads any of the three modes. Of bare JSON only Data is known; its type
// follows from the subject it came on.
func Decode(header map[string][]string, data []byte) (Event, error) {
	if v := get(header, "ce-specversion"); v != "" {
		return fromAttributes(envelope{
			SpecVersion: v, ID: unescape(get(header, "ce-id")), Source: unescape(get(header, "ce-source")),
			Type: unescape(get(header, "ce-type")), Subject: unescape(get(header, "ce-subject")), Time: get(header, "ce-time"),
			ContentType: get(header, "content-type"), Data: data,
		})
	}
	var probe struct {
		SpecVersion *json.RawMessage `json:"specversion"`
	}
	if err := json.Unmarshal(data, &probe); err != nil {
		return Event{}, bad("", "the payload is not a JSON object: %v", err)
	}
	if probe.SpecVersion == nil {
		return Event{Data: bytes.TrimSpace(data)}, nil
	}
	var env envelope
	if err := json.Unmarshal(data, &env); err != nil {
		return Event{}, bad("", "%v", err)
	}
	if env.Base64 != "" {
		raw, err := base64.StdEncoding.DecodeString(env.Base64)
		if err != nil {
			return Event{}, bad("data_base64", "%v", err)
		}
		env.Data = raw
	}
	return fromAttributes(env)
}

func fromAttributes(a envelope) (Event, error) {
	e := Event{ID: a.ID, Source: a.Source, Type: a.Type, Subject: a.Subject, Data: bytes.TrimSpace(a.Data)}
	for _, f := range []struct{ name, value string }{{"id", a.ID}, {"source", a.Source}, {"type", a.Type}} {
		if f.value == "" {
			return e, bad(f.name, "the attribute is missing")
		}
	}
	if a.SpecVersion != specVersion {
		return e, bad("specversion", "%q: want %q", a.SpecVersion, specVersion)
	}
	if ct, _, _ := strings.Cut(a.ContentType, ";"); ct != "" && ct != "application/json" && !strings.HasSuffix(ct, "+json") {
		return e, bad("datacontenttype", "%q: want application/json", a.ContentType)
	}
	if a.Time != "" {
		t, err := time.Parse(time.RFC3339Nano, a.Time)
		if err != nil {
			return e, bad("time", "%q: want RFC 3339", a.Time)
		}
		e.Time = t
	}
	if !json.Valid(e.Data) {
		return e, bad("data", "not JSON")
	}
	return e, nil
}

func bad(attribute, format string, args ...any) error {
	return cdp.Errorf(cdp.Invalid, "decode event", attribute, format, args...)
}

// get reads a header; the case of its name does not matter.
func get(header map[string][]string, name string) string {
	if v := header[name]; len(v) > 0 {
		return v[0]
	}
	for k, v := range header {
		if len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// escape writes a header value as CloudEvents does: what is not printable
// ASCII, and space, quote and percent, in percent notation.
func escape(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] > ' ' && s[i] < 0x7f && s[i] != '%' && s[i] != '"'
	}
	if plain {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '%' && c != '"' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

// unescape reverses escape. What is not a valid escape is kept as it is.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
