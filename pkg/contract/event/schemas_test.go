package event

import "testing"

// To compile a schema costs more than many checks, and each apply makes a checker.
func TestASchemaIsCompiledOnce(t *testing.T) {
	first, err := NewSchemas().schema("spec/v1/replicationjob.json")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := NewSchemas().schema("spec/v1/replicationjob.json"); again != first || err != nil {
		t.Fatal("it was compiled again", err)
	}
}
