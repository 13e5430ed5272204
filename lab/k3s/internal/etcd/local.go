package etcd

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"

	"lab/k3s/internal/cluster"
)

// ReadLocal reads every key under a prefix from the stopped member's own database, by way of a copy, so that a server
// can hold its token against its datastore before anything is started.
func ReadLocal(n *cluster.Node, prefix string) (map[string]string, error) {
	temporary := n.Server("db", "etcd-tmp")
	defer os.RemoveAll(temporary)
	path := filepath.Join(temporary, "member/snap/db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(n.Server("db/etcd/member/snap/db"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	logrus.Debugf("Opening etcd MVCC KV backend database at %s", path)
	b := backend.NewDefaultBackend(zap.NewNop(), path)
	defer b.Close()
	store := mvcc.NewStore(zap.NewNop(), b, &lease.FakeLessor{}, mvcc.StoreConfig{})
	defer store.Close()
	found, err := store.Range(context.Background(), []byte(prefix), []byte(end(prefix)), mvcc.RangeOptions{})
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, kv := range found.KVs {
		values[string(kv.Key)] = string(kv.Value)
	}
	return values, nil
}

// end is the first key after every key with this prefix.
func end(prefix string) string {
	return strings.TrimSuffix(prefix, prefix[len(prefix)-1:]) + string(prefix[len(prefix)-1]+1)
}
