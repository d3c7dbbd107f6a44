package event

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

func sample(t testing.TB) Event {
	e, err := New("01JD", time.Date(2026, 11, 22, 12, 0, 0, 5e8, time.UTC), "/prod/capture", CaptureMark{Group: "vm1"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestModes(t *testing.T) {
	e := sample(t)
	header, data := Encode(e)
	if got, err := Decode(header, data); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("binary: %+v, %v", got, err)
	}
	odd := map[string][]string{}
	for k, v := range header {
		odd[strings.ToUpper(k)] = v
	}
	if got, err := Decode(odd, data); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("binary, other case: %+v, %v", got, err)
	}
	whole, err := EncodeStructured(e)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(nil, whole); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("structured: %+v, %v", got, err)
	}
	// The header decides before the payload does.
	if got, err := Decode(header, whole); err != nil || string(got.Data) != string(whole) {
		t.Errorf("both: %+v, %v", got, err)
	}
	if got, err := Decode(nil, []byte(` {"group":"vm1","requested":false} `)); err != nil || got.Type != "" || string(got.Data) != string(e.Data) {
		t.Errorf("bare: %+v, %v", got, err)
	}
	got, err := Decode(nil, []byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"e30="}`))
	if err != nil || string(got.Data) != "{}" {
		t.Errorf("base64: %+v, %v", got, err)
	}
	e.Subject, e.Source = "größe 100%", `/a "b"`
	header, data = Encode(e)
	if got, err := Decode(header, data); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("escaped: %+v, %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`nonsense`: "not a JSON object",
		`[1]`:      "not a JSON object",
		``:         "not a JSON object",
		`{"specversion":"0.3","id":"1","source":"s","type":"t","data":{}}`:                              "specversion",
		`{"specversion":"1.0","source":"s","type":"t","data":{}}`:                                       "id",
		`{"specversion":"1.0","id":"1","type":"t","data":{}}`:                                           "source",
		`{"specversion":"1.0","id":"1","source":"s","data":{}}`:                                         "type",
		`{"specversion":"1.0","id":"1","source":"s","type":"t"}`:                                        "data",
		`{"specversion":"1.0","id":"1","source":"s","type":"t","time":"noon","data":{}}`:                "time",
		`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/xml","data":{}}`: "datacontenttype",
		`{"specversion":1,"id":"1"}`:                                                                    "specversion",
	} {
		if _, err := Decode(nil, []byte(in)); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestAddress(t *testing.T) {
	const subject = "tidemark.cmd.v1.prod.capture.mark.vm1"
	a, err := ParseSubject(subject)
	if err != nil || a.Subject() != subject || a.Type() != (CaptureMark{}).EventType() {
		t.Fatal(a, err)
	}
	b, err := AddressOf(a.Type(), "prod", "vm1")
	if err != nil || a != b {
		t.Fatal(b, err)
	}
	for _, s := range []string{"", "tidemark.cmd.v1.prod.capture.mark", "tidemark.evt.v2.a.b.c.d", "tidemark.api.v1.a.b.c.d", subject + ".x"} {
		if _, err := ParseSubject(s); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	header, data := Encode(sample(f))
	f.Add(header["ce-id"][0], data)
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		for _, h := range []map[string][]string{nil, {"Ce-Id": {id}, "CE-SpecVersion": {"1.0"}, "ce-type": {id}, "ce-source": {id}}} {
			e, err := Decode(h, data)
			if err != nil {
				if !cdp.Is(err, cdp.Invalid) {
					t.Fatal(err)
				}
				continue
			}
			if e.ID == "" {
				continue
			}
			h2, d2 := Encode(e)
			if again, err := Decode(h2, d2); err != nil || again.ID != e.ID || !again.Time.Equal(e.Time) {
				t.Fatal(again, err)
			}
		}
	})
}
