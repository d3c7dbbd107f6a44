package vcsim

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// whole are the changes with each one below a property that filters ask for as a change
// of that property, with a copy of its value. Left to itself the simulator looks that
// value up later, when nobody holds the object's lock. The lock is held now.
func (s subject) whole(o mo.Reference, changes []types.PropertyChange) []types.PropertyChange {
	var out []types.PropertyChange
	for _, c := range changes {
		if above := s.above(o.Reference().Type, c.Name); above != "" {
			if v, ok := property(reflect.ValueOf(o), above); ok {
				c = types.PropertyChange{Name: above, Op: types.PropertyChangeOpAssign, Val: v}
			}
		}
		out = slices.DeleteFunc(out, func(x types.PropertyChange) bool { return x.Name == c.Name })
		out = append(out, c)
	}
	return out
}

// above is the property that filters ask for of which name is a part, if they do not ask
// for name itself.
func (s subject) above(kind, name string) string {
	paths := s[kind]
	if slices.Contains(paths, name) {
		return ""
	}
	for _, p := range paths {
		if strings.HasPrefix(name, p+".") {
			return p
		}
	}
	return ""
}

// property is a copy of a property's value, if that is a structure.
func property(v reflect.Value, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return nil, false
		}
		v = v.FieldByName(strings.ToUpper(name[:1]) + name[1:])
	}
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	return clone(v).Interface(), true
}

// clone is a deep copy.
func clone(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(clone(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(clone(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(clone(v.Index(i)))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() && v.Type().Field(i).IsExported() {
				out.Field(i).Set(clone(v.Field(i)))
			}
		}
	}
	return out
}
