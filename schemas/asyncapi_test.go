package schemas_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const asyncHead = `# Generated from the schemas; do not edit: go test ./schemas -run Messages -rewrite
asyncapi: 3.0.0
info:
  title: Tidemark
  version: v1
  description: >-
    The messages of Tidemark, open continuous data protection for VMs. Commands
    and events are CloudEvents 1.0 in binary mode: the attributes are ce- headers,
    the payload is JSON. The type names the subject names the schema. Requests are
    JSON, and so are their answers.
defaultContentType: application/json
channels:
`

const asyncTail = `components:
  schemas:
    cloudEvent:
      type: object
      description: The CloudEvents attributes, as headers. Their names are read case-insensitively.
      required: [ce-specversion, ce-id, ce-source, ce-type]
      properties:
        ce-specversion: {type: string, const: "1.0", description: The version of CloudEvents.}
        ce-id: {type: string, description: A ULID.}
        ce-source: {type: string, description: "Who sent it: /<site>/<service>."}
        ce-type: {type: string, description: The type; it names the schema.}
        ce-subject: {type: string, description: The job or group.}
        ce-time: {type: string, format: date-time, description: When it was created.}
        traceparent: {type: string, description: The W3C trace context.}
`

// The AsyncAPI document is what the schemas say: every command, event and request has its
// channel and operation.
func TestMessagesAsAsyncAPI(t *testing.T) {
	var channels, operations bytes.Buffer
	for _, family := range []string{"cmd", "evt", "api"} {
		for _, m := range messages(t, family) {
			m.channel(&channels)
			m.operation(&operations)
		}
	}
	regenerated(t, "asyncapi.yaml", "Messages", []byte(asyncHead+channels.String()+"operations:\n"+operations.String()+asyncTail))
}

// key is what the document calls the message, as cmdCaptureMark.
func (m message) key() string {
	key := m.family
	for _, word := range strings.Split(m.of+"-"+m.name, "-") {
		key += strings.ToUpper(word[:1]) + word[1:]
	}
	return key
}

func (m message) channel(b *bytes.Buffer) {
	fmt.Fprintf(b, "  %s:\n    address: %s\n    description: %q\n    parameters:\n      site:\n        description: The site's name.\n", m.key(), m.address(), m.schema.Description)
	if m.family != "api" {
		b.WriteString("      id:\n        description: The job, group, plan or site that it is about.\n")
	}
	fmt.Fprintf(b, "    messages:\n      message:\n        name: %s\n", m.typ())
	if m.family != "api" {
		b.WriteString("        headers:\n          $ref: '#/components/schemas/cloudEvent'\n")
	}
	fmt.Fprintf(b, "        payload:\n          $ref: ./%s\n", m.file())
	if m.answer != nil {
		fmt.Fprintf(b, "  %sAnswer:\n    address: null\n    description: %q\n    messages:\n      message:\n        name: %s.answer\n        payload:\n          $ref: ./%s/answer.json\n",
			m.key(), m.answer.Description, m.typ(), strings.TrimSuffix(m.file(), ".json"))
	}
}

// operation says whether a service sends or receives the message.
func (m message) operation(b *bytes.Buffer) {
	action := "receive"
	if m.family == "evt" {
		action = "send"
	}
	fmt.Fprintf(b, "  %s:\n    action: %s\n    channel:\n      $ref: '#/channels/%s'\n", m.key(), action, m.key())
	if m.answer != nil {
		fmt.Fprintf(b, "    reply:\n      address:\n        location: $message.header#/reply\n      channel:\n        $ref: '#/channels/%sAnswer'\n", m.key())
	}
}
