package api_test

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/schemas"
)

// values are what examples have in texts, by type or by name in JSON. Any other text is
// its own name.
var values = map[string]string{
	"GroupID": "web", "Site": "dr", "job": "web", "plan": "shop", "run": "r1", "as": "web-back", "document": "", "source": "prod",
	"point": "p42", "listen": "10.0.0.5:10809", "path": "/srv/replica/web.img", "paths": "/srv/replica/web.img", "vm": "50120ad0-5c1d-4a4f-9d9c-7b6f1e2d3c4b",
	"uuid": "50120ad0-5c1d-4a4f-9d9c-7b6f1e2d3c4b", "Ref": "VirtualMachine:vm-12", "id": "x1", "disk": "root", "uri": "nbd://10.0.0.5:10809/root",
	"purpose": "export", "since": "*", "do": "install", "ova": "/srv/tidemark.ova", "bundle": "https://depot.example.com/filter.zip", "file": "[ds1] web/web.vmdk",
	"key": "0y8DdLCyYFDoNSMW1cWzt1fVL7ZzLg9Mp2MjfGP+k4c=", "ips": "10.0.0.5/24", "gateway": "10.0.0.1", "dns": "10.0.0.53", "mac": "00:50:56:00:00:01", "folder": "/DC0/vm/Prod",
}

// left are fields that examples leave out, because others of the same message exclude
// them.
var left = map[string]bool{"ResolveRequest.at": true, "Request.at": true, "EditPointRequest.tags": true, "PlanRequest.document": true, "Request.shutdownWait": true, "PointsRequest.request": true}

// exampler fills values of Go types.
type exampler struct {
	t *testing.T
	godoc
	answers bool
}

func (x exampler) of(v any) []byte {
	p := reflect.New(reflect.TypeOf(v)).Elem()
	x.fill(p, "")
	data, err := json.MarshalIndent(p.Interface(), "", "  ")
	if err != nil {
		x.t.Fatal(err)
	}
	return append(data, '\n')
}

// document is a stored job, of the golden example of its kind.
func (x exampler) document(file string) ([]byte, spec.Object) {
	data, err := fs.ReadFile(schemas.FS, "examples/spec/v1/"+file)
	if err != nil {
		x.t.Fatal(err)
	}
	o, problems, err := spec.ParseDocument(data)
	if err != nil || len(problems) > 0 {
		x.t.Fatal(file, problems, err)
	}
	return data, o
}

func (x exampler) fill(v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
		return
	case spec.ReplicationJob:
		_, o := x.document("replicationjob.json")
		v.Set(reflect.ValueOf(*o.Job))
		return
	case spec.VMJob:
		_, o := x.document("replicationjob-vms.json")
		v.Set(reflect.ValueOf(*o.VMJob))
		return
	case json.RawMessage:
		data, _ := x.document("replicationjob.json")
		v.SetBytes(data)
		return
	case spec.Duration:
		v.Set(reflect.ValueOf(spec.Duration(5 * time.Minute)))
		return
	case cdp.RequestID:
		v.SetUint(uint64(cdp.RequestOf("c1")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		x.fields(v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		x.fill(v.Elem(), name)
	case reflect.Bool:
		v.SetBool(x.answers)
	case reflect.String:
		v.SetString(x.word(v.Type(), name))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(name))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		x.fill(v.Index(0), name)
	case reflect.Map:
		key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		x.fill(key, "name")
		x.fill(val, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, val)
	default:
		x.t.Fatal("no example of ", v.Type())
	}
}

func (x exampler) fields(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !left[v.Type().Name()+"."+name] {
			x.fill(v.Field(i), name)
		}
	}
}

func (x exampler) word(t reflect.Type, name string) string {
	if words := x.words[typeName(t)]; len(words) > 0 {
		return words[0]
	}
	if word, ok := values[t.Name()]; ok {
		return word
	}
	if word, ok := values[name]; ok {
		return word
	}
	return name
}
