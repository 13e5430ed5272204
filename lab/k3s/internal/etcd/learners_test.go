package etcd

import (
	"testing"
	"time"
)

func TestStallLimit(t *testing.T) {
	for variable, want := range map[string]time.Duration{"": 5 * time.Minute, "75s": 75 * time.Second} {
		if limit, err := stallLimit(variable); err != nil || limit != want {
			t.Errorf("%q: %v, %v; want %v", variable, limit, err, want)
		}
	}
	for _, variable := range []string{"75", "-1s", "soon"} {
		if limit, err := stallLimit(variable); err == nil {
			t.Errorf("%q is taken as %v", variable, limit)
		}
	}
}
