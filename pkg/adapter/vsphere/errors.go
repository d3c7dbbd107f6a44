package vsphere

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/property"
	gtask "github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
)

// fail translates the error of a call. nil stays nil, and a cdp.Error stays what it
// is. ctx is the caller's.
func (c *Client) fail(ctx context.Context, op, subject string, err error) error {
	if err == nil {
		return nil
	}
	if ours, ok := errors.AsType[*cdp.Error](err); ok {
		// The transport may have wrapped it, and its text adds nothing.
		return ours
	}
	if end := ctx.Err(); end != nil {
		return cdp.Errorf(cdp.Transient, op, subject, "%w", end)
	}
	if f, text := faultOf(err); f != nil {
		return c.failed(ctx, op, subject, f, text)
	}
	return unanswered(op, subject, err)
}

// faultOf is the fault that a vCenter answered with, and its own text: the
// outermost, or one of its causes that has a translation.
func faultOf(err error) (types.BaseMethodFault, string) {
	var f types.BaseMethodFault
	text := ""
	fault.In(err, func(found types.BaseMethodFault, message string, _ []types.LocalizableMessage) bool {
		if f == nil {
			f, text = found, message
		}
		switch found.(type) {
		case *types.NoPermission, *types.FileLocked, *types.NoDiskSpace, *types.FileAlreadyExists, *types.RequestCanceled:
			f = found
			if message != "" {
				text = message
			}
			return true
		}
		return false
	})
	if f == nil || text != "" {
		return f, text
	}
	if t, ok := errors.AsType[gtask.Error](err); ok {
		text = t.LocalizedMessage
	} else if soap.IsSoapFault(err) {
		text = soap.ToSoapFault(err).String
	}
	return f, text
}

// failed translates a fault; the first case that matches decides.
func (c *Client) failed(ctx context.Context, op, subject string, f types.BaseMethodFault, text string) error {
	say := func(kind cdp.Kind, format string, args ...any) *cdp.Error {
		return cdp.Errorf(kind, op, subject, format, args...)
	}
	if np, ok := f.(*types.NoPermission); ok {
		what, where := c.lacking(ctx, np)
		return say(cdp.Conflict, "the user %s lacks the privilege %s", c.cfg.User, what).
			WithHint(fmt.Sprintf("grant %s on %s", what, where))
	}
	name := faultName(f)
	said := sentence(name, text)
	switch f := f.(type) {
	case *types.InvalidLogin:
		return say(cdp.Invalid, "the user name or password is wrong").
			WithHint("correct the site's credentials file; it will be read again")
	case *types.InvalidGuestLogin:
		return say(cdp.Invalid, "the guest refuses this user or password").
			WithHint("give the login of a user of the guest itself, an administrator if the script changes the system")
	case *types.GuestPermissionDenied:
		return say(cdp.Conflict, "the guest does not let this user do that").WithHint("give an administrator's login of the guest")
	case *types.GuestOperationsUnavailable:
		return say(cdp.Transient, "VMware Tools do not answer in the guest yet")
	case *types.NotAuthenticated:
		return say(cdp.Transient, "the new session ended at once")
	case *types.ManagedObjectNotFound:
		return say(cdp.NotFound, "%s is gone", f.Obj)
	case *types.FileLocked:
		return say(cdp.Conflict, "the file %s is locked: %s", f.File, said).WithHint(hintLock)
	case *types.MethodDisabled:
		return say(cdp.Conflict, "the operation is disabled at the vCenter%s", disabledBy(f.Source)).
			WithHint("another product or task has disabled it (the vCenter lists the object's disabled methods); wait until it is enabled again")
	case *types.InvalidPowerState:
		return say(cdp.Conflict, "it is %s", powerWord(f.ExistingState))
	case *types.NoDiskSpace:
		return say(cdp.Full, "the datastore %s is full", f.Datastore).WithHint("free space on it, or choose another")
	case *types.DuplicateName:
		return say(cdp.Conflict, "the name %q is taken by %s", f.Name, f.Object)
	case *types.FileAlreadyExists:
		return say(cdp.Conflict, "the file %s already exists", f.File)
	case *types.AlreadyExists:
		return say(cdp.Conflict, "%w", existsError{f.Name})
	case *types.InvalidArgument:
		return say(cdp.Invalid, "%w", argumentError{f.InvalidProperty, said})
	case *types.InvalidDeviceSpec:
		return say(cdp.Conflict, "%w", deviceError{f.Property, said})
	case *types.FileNotFound:
		return say(cdp.NotFound, "there is no file %s", f.File)
	case *types.RequestCanceled:
		return say(cdp.Transient, "somebody cancelled the task at the vCenter").
			WithHint("it will be tried again; allow the tasks of the user " + c.cfg.User + " run")
	case *types.ToolsUnavailable:
		return say(cdp.Conflict, "VMware Tools are not running in the guest")
	case *types.TaskInProgress:
		return say(cdp.Transient, "another task is running on it (%s)", f.Task)
	case *types.RestrictedVersion:
		return say(cdp.Conflict, "the host's licence does not allow it").
			WithHint("a free ESXi licence forbids changes by API; enter one that allows them")
	}
	if strings.Contains(strings.ToLower(text), "failed to lock the file") {
		return say(cdp.Conflict, "a file is locked: %s", said).WithHint(hintLock)
	}
	if f, ok := f.(types.BaseFileFault); ok && f.GetFileFault().File != "" {
		said = f.GetFileFault().File + ": " + said
	}
	return say(kindOf(f, name), "%s", said)
}

// existsError: an object of that name already exists.
type existsError struct{ name string }

func (e existsError) Error() string {
	if e.name == "" {
		return "it is there already"
	}
	return e.name + " is there already"
}

// argumentError: the vCenter refused an argument.
type argumentError struct{ field, said string }

func (e argumentError) Error() string { return inField(e.field, e.said) }

// deviceError: the vCenter refused a change of a VM's device.
type deviceError struct{ field, said string }

func (e deviceError) Error() string { return inField(e.field, e.said) }

func inField(field, said string) string {
	if field == "" {
		return said
	}
	return field + ": " + said
}

const hintLock = "another VM or host has the disk open: look for a VM, snapshot or backup that uses it"

// kindOf is the kind of faults without a text of their own.
func kindOf(f types.BaseMethodFault, name string) cdp.Kind {
	switch name {
	case "InsufficientStorageSpace", "InsufficientDisks", "VmSwapsizeTooLarge", "FileTooLarge", "OutOfBounds":
		return cdp.Full
	case "InvalidArgument", "InvalidName", "InvalidRequest", "InvalidType", "NotSupported", "NotImplemented",
		"MethodNotFound", "InvalidDatastorePath", "InvalidProperty", "UnexpectedFault":
		return cdp.Invalid
	case "NotFound":
		return cdp.NotFound
	case "Timedout", "ConcurrentAccess", "SystemError", "RuntimeFault", "HostCommunication", "OperationDisallowedOnHost",
		"InaccessibleDatastore", "CannotAccessNetwork":
		return cdp.Transient
	}
	if _, ok := f.(types.BaseHostCommunication); ok {
		return cdp.Transient
	}
	// A state, a resource or a configuration is in the way.
	return cdp.Conflict
}

// lacking is a missing privilege, and the object it is missing on.
func (c *Client) lacking(ctx context.Context, np *types.NoPermission) (what, where string) {
	what, obj := np.PrivilegeId, np.Object
	for _, m := range np.MissingPrivileges {
		if len(m.PrivilegeIds) > 0 && what == "" {
			what = strings.Join(m.PrivilegeIds, ", ")
			obj = &m.Entity
		}
	}
	if what == "" {
		what = "that it takes"
	}
	if obj == nil {
		return what, "the vCenter's root"
	}
	where = obj.String()
	if c.v == nil {
		return what, where
	}
	// A name helps whoever has to grant it; without one, the reference must do.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var e struct{ Name string }
	if got, err := property.DefaultCollector(c.v).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{{
		PropSet:   []types.PropertySpec{{Type: obj.Type, PathSet: []string{"name"}}},
		ObjectSet: []types.ObjectSpec{{Obj: *obj}},
	}}}); err == nil && len(got.Returnval) == 1 && len(got.Returnval[0].PropSet) == 1 {
		e.Name, _ = got.Returnval[0].PropSet[0].Val.(string)
	}
	if e.Name != "" {
		where = e.Name + " (" + where + ")"
	}
	return what, where
}

func disabledBy(source string) string {
	if source == "" {
		return ""
	}
	return " (by " + source + ")"
}

func powerWord(s types.VirtualMachinePowerState) string {
	switch s {
	case types.VirtualMachinePowerStatePoweredOn:
		return "powered on"
	case types.VirtualMachinePowerStatePoweredOff:
		return "powered off"
	}
	return string(s)
}

func faultName(f types.BaseMethodFault) string {
	t := reflect.TypeOf(f)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// sentence is the vCenter's own text, with the fault's name if that adds something.
func sentence(name, text string) string {
	text = strings.TrimPrefix(strings.TrimSpace(text), "*types.") // a fault without a text of its own
	if text == "" || text == name {
		return "the vCenter says " + name
	}
	return text + " (" + name + ")"
}

// unanswered translates errors of calls that got no answer from the API.
func unanswered(op, subject string, err error) error {
	text := err.Error()
	ue, isURL := errors.AsType[*url.Error](err)
	if isURL {
		text = ue.Err.Error() // without the URL, which the subject names
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return cdp.Errorf(cdp.Transient, op, subject, "the vCenter did not answer in time")
	case strings.HasPrefix(text, "404"), strings.HasPrefix(text, "405"):
		return cdp.Errorf(cdp.Invalid, op, subject, "the server there is not a vCenter or ESXi host: %s", text).
			WithHint("check the site's URL; the path is /sdk")
	case isURL && strings.HasPrefix(text, fmt.Sprint(http.StatusServiceUnavailable)):
		return cdp.Errorf(cdp.Transient, op, subject, "the vCenter is starting or stopping: %s", text)
	case soap.IsSoapFault(err):
		return cdp.Errorf(cdp.Conflict, op, subject, "the vCenter says: %s", soap.ToSoapFault(err).String)
	}
	return cdp.Errorf(cdp.Transient, op, subject, "cannot reach the vCenter: %s", text).
		WithHint("check that it is running, and the network and firewalls in between (TCP 443)")
}
