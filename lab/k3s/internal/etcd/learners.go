package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

const (
	// tick is how often the leader looks at learners.
	tick = 15 * time.Second
	// stall is how long a learner may make no progress before it is evicted, where stallVariable says nothing else.
	stall = 5 * time.Minute
	// stallVariable is a variable of the environment with another limit ("75s"): for tests that wait for an eviction.
	stallVariable = "STANDIN_LEARNER_STALL"
	// progressKey is where the leader keeps what it last saw of a learner, so that a next leader goes on from there.
	progressKey = "k3s/etcd/learnerProgress"
)

// progress is what is kept under progressKey.
type progress struct {
	ID               uint64      `json:"id,omitempty"`
	Name             string      `json:"name,omitempty"`
	RaftAppliedIndex uint64      `json:"raftAppliedIndex,omitempty"`
	LastProgress     metav1.Time `json:"lastProgress,omitempty"`
}

// ManageLearners promotes and evicts learners and writes the nodes' EtcdIsVoter condition, on the etcd leader only,
// every 15 seconds (k3s-captures/19, 28). kube gives the cluster's client once there is one.
func (m *Member) ManageLearners(ctx context.Context, kube func() kubernetes.Interface) {
	limit, err := stallLimit(os.Getenv(stallVariable))
	if err != nil {
		logrus.Fatalf("%s: %v", stallVariable, err)
	}
	m.manage(ctx, kube, limit)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.manage(ctx, kube, limit)
		}
	}
}

// stallLimit is how long a learner may make no progress: what the variable says, or what k3s has.
func stallLimit(variable string) (time.Duration, error) {
	if variable == "" {
		return stall, nil
	}
	limit, err := time.ParseDuration(variable)
	if err == nil && limit <= 0 {
		err = errors.New("must be more than nothing")
	}
	return limit, err
}

// manage is one tick.
func (m *Member) manage(ctx context.Context, kube func() kubernetes.Interface, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	status, err := m.client.Status(ctx, Endpoint)
	if err != nil {
		if m.server != nil || ctx.Err() == nil {
			logrus.Errorf("Failed to check local etcd status for learner management: %v", err)
		}
		return
	}
	if status.Header.MemberId != status.Leader {
		return
	}
	list, err := m.client.MemberList(ctx)
	if err != nil {
		logrus.Errorf("Failed to get etcd members for learner management: %v", err)
		return
	}
	client := kube()
	if client == nil {
		logrus.Warn("Failed to list nodes with etcd role: runtime core not ready")
	}
	for _, member := range list.Members {
		if member.IsLearner {
			if err := m.learner(ctx, member, limit); err != nil {
				logrus.Errorf("Failed to manage learner %s: %v", member.Name, err)
			}
		}
		if client != nil && member.Name != "" {
			if err := setVoter(ctx, client, member); err != nil {
				logrus.Errorf("Failed to set etcd voter condition on node %s: %v", nodeOf(member.Name), err)
			}
		}
	}
}

// learner promotes one learner, or notes how far it is, or evicts it.
func (m *Member) learner(ctx context.Context, member *etcdserverpb.Member, limit time.Duration) error {
	now := time.Now()
	var last progress
	if kept, err := m.client.Get(ctx, progressKey); err != nil {
		return err
	} else if len(kept.Kvs) > 0 {
		_ = json.Unmarshal(kept.Kvs[0].Value, &last)
	}
	if last.ID != member.ID {
		last = progress{ID: member.ID, Name: member.Name, LastProgress: metav1.Time{Time: now}}
	}
	moved := last.LastProgress.Time.Equal(now)
	for _, url := range member.ClientURLs {
		status, err := m.client.Status(ctx, url)
		if err != nil {
			continue
		}
		if status.RaftAppliedIndex > last.RaftAppliedIndex {
			last.RaftAppliedIndex, last.LastProgress.Time, moved = status.RaftAppliedIndex, now, true
		}
		break
	}
	if len(member.ClientURLs) > 0 {
		_, err := m.client.MemberPromote(ctx, member.ID)
		if err == nil {
			logrus.Infof("Promoted learner %s to voting member of etcd cluster", member.Name)
			member.IsLearner = false
			return nil
		}
		if !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
			return err
		}
	}
	if !moved {
		logrus.Warnf("Learner %s stalled at RaftAppliedIndex=%d for %s", member.Name, last.RaftAppliedIndex, now.Sub(last.LastProgress.Time))
	}
	if now.Sub(last.LastProgress.Time) > limit {
		if _, err := m.client.MemberRemove(ctx, member.ID); err != nil {
			return err
		}
		logrus.Warnf("Removed learner %s from etcd cluster", member.Name)
		return nil
	}
	text, err := json.Marshal(last)
	if err != nil {
		return err
	}
	_, err = m.client.Put(ctx, progressKey, string(text))
	return err
}

// setVoter writes a node's EtcdIsVoter condition where it says something else (k3s-captures/08-nodes.txt).
func setVoter(ctx context.Context, client kubernetes.Interface, member *etcdserverpb.Member) error {
	want := corev1.NodeCondition{Type: "EtcdIsVoter", Status: corev1.ConditionTrue, Reason: "MemberNotLearner", Message: "Node is a voting member of the etcd cluster"}
	if member.IsLearner {
		want.Status, want.Reason, want.Message = corev1.ConditionFalse, "MemberIsLearner", "Node has not been promoted to voting member of the etcd cluster"
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		node, err := client.CoreV1().Nodes().Get(ctx, nodeOf(member.Name), metav1.GetOptions{})
		if err != nil {
			return nil // not registered yet
		}
		if node.Annotations[NameAnnotation] != member.Name {
			return nil
		}
		want.LastHeartbeatTime, want.LastTransitionTime = metav1.Now(), metav1.Now()
		for i, condition := range node.Status.Conditions {
			if condition.Type != want.Type {
				continue
			}
			if condition.Status == want.Status && condition.Reason == want.Reason {
				return nil
			}
			node.Status.Conditions[i] = want
			_, err := client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
			return err
		}
		node.Status.Conditions = append([]corev1.NodeCondition{want}, node.Status.Conditions...)
		_, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
}
