package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"lab/k3s/internal/token"
)

// Members is what /db/info tells a joiner.
type Members struct {
	Members []*etcdserverpb.Member `json:"members"`
}

// Info answers /db/info: the cluster's members, or at least this one.
func (m *Member) Info(ctx context.Context) Members {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	list, err := m.client.MemberList(ctx)
	if err != nil {
		return Members{[]*etcdserverpb.Member{{Name: m.Name, PeerURLs: []string{m.peerURL()}, ClientURLs: []string{m.clientURL()}}}}
	}
	return Members{list.Members}
}

// Join adds this server as a learner and starts its member. Only one learner may be in a cluster, so it waits for its
// turn. The errors are those that make k3s stop with exit code 0 (k3s-captures/19, 27, 28).
func (m *Member) Join(ctx context.Context, server *token.Client) error {
	for {
		initial, err := m.add(ctx, server)
		if errors.Is(err, rpctypes.ErrTooManyLearners) {
			logrus.Infof("Waiting for other members to finish joining etcd cluster: %v", err)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				continue
			}
		}
		if err != nil {
			return err
		}
		logrus.Infof("Starting etcd to join cluster with members %v", initial)
		return m.Start(ctx, strings.Join(initial, ","), "existing")
	}
}

// add makes sure that the cluster knows this member, and returns its initial-cluster.
func (m *Member) add(ctx context.Context, server *token.Client) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	text, err := server.As("server").Do(ctx, "GET", "/db/info", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to retrieve etcd cluster member list: %w", err)
	}
	var known Members
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, err
	}
	var endpoints []string
	for _, member := range known.Members {
		if !member.IsLearner {
			endpoints = append(endpoints, member.ClientURLs...)
		}
	}
	client, err := Client(m.node, endpoints...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	list, err := client.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to get member list from etcd cluster: %w", err)
	}
	initial, present, err := m.place(list)
	if err != nil || present {
		return initial, err
	}
	logrus.Infof("Adding member %s=%s to etcd cluster %v", m.Name, m.peerURL(), initial)
	if _, err := client.MemberAddAsLearner(ctx, []string{m.peerURL()}); err != nil {
		return nil, err
	}
	return append(initial, m.Name+"="+m.peerURL()), nil
}

// place reads the member list: the initial cluster it makes, and whether this member is in it. Another member of the
// same node name is an error, since its data is lost and it must be removed first.
func (m *Member) place(list *clientv3.MemberListResponse) (initial []string, present bool, err error) {
	for _, member := range list.Members {
		for _, peer := range member.PeerURLs {
			at, err := url.Parse(peer)
			if err != nil {
				return nil, false, err
			}
			// a learner that has not started has no name; at our address it is us
			if member.Name == "" && at.Hostname() == m.node.IP.String() {
				member.Name = m.Name
			}
			present = present || member.Name == m.Name && at.Hostname() == m.node.IP.String()
		}
		if len(member.PeerURLs) > 0 {
			initial = append(initial, member.Name+"="+member.PeerURLs[0])
		}
		if member.Name != m.Name && nodeOf(member.Name) == m.node.Name {
			os.Remove(m.dir("name"))
			return nil, false, errors.New("duplicate node name found, please use a unique name for this node")
		}
	}
	return initial, present, nil
}

// nodeOf is the node that a member's name says it is on.
func nodeOf(member string) string {
	if i := strings.LastIndex(member, "-"); i > 0 {
		return member[:i]
	}
	return member
}
