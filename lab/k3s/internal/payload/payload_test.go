package payload

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsPackedComesOutAndDamageIsNoticed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := write("program", "#!/bin/sh\n")
	write("in/bin/tool", "a tool")
	out := filepath.Join(dir, "out")
	if err := Pack(program, filepath.Join(dir, "in"), out); err != nil {
		t.Fatal(err)
	}
	p, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Unpack(filepath.Join(dir, "to")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "to/bin/tool")); err != nil || string(text) != "a tool" {
		t.Errorf("unpacked %q, %v", text, err)
	}
	whole, _ := os.ReadFile(out)
	whole[len(whole)-trailer-3] ^= 1
	if err := os.WriteFile(out, whole, 0o755); err != nil {
		t.Fatal(err)
	}
	if p, err = Open(out); err != nil {
		t.Fatal(err)
	}
	if err := p.Unpack(filepath.Join(dir, "again")); err == nil {
		t.Error("a damaged payload unpacks")
	}
	if _, err := Open(program); err == nil {
		t.Error("a program without a payload opens")
	}
}
