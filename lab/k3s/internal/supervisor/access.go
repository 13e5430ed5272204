package supervisor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"lab/k3s/internal/pki"
)

// allow holds a request against a role ("node" or "server"): no credentials or another role's are 403, a wrong password
// is 401. A node's certificate stands for the node role.
func (s *Supervisor) allow(w http.ResponseWriter, r *http.Request, role string) bool {
	user, password, given := r.BasicAuth()
	if given {
		known, ok := s.user(user, password)
		if !ok {
			logrus.Errorf("Failed to authenticate request from %s: invalid username/password combination", r.RemoteAddr)
			s.refuse(w, r, http.StatusUnauthorized, "not authorized")
			return false
		}
		if known == role {
			return true
		}
	} else if role == "node" && s.isNode(r) {
		return true
	}
	sendStatus(w, r, http.StatusForbidden, "forbidden")
	return false
}

// user finds a user in cred/passwd (`password,user,uid,group`).
func (s *Supervisor) user(name, password string) (string, bool) {
	text, _ := os.ReadFile(s.node.Server("cred/passwd"))
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(line, ",")
		if len(fields) >= 4 && fields[1] == name && subtle.ConstantTimeCompare([]byte(fields[0]), []byte(password)) == 1 {
			return name, true
		}
	}
	return "", false
}

// isNode says whether the request carries a node's certificate of this cluster.
func (s *Supervisor) isNode(r *http.Request) bool {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	pool := x509.NewCertPool()
	text, _ := os.ReadFile(s.node.TLS("client-ca.crt"))
	pool.AppendCertsFromPEM(text)
	cert := r.TLS.PeerCertificates[0]
	_, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil && slices.Contains(cert.Subject.Organization, "system:nodes")
}

// certificate signs what a node asks for: its own two after its password was checked, the shared ones for any node.
func (s *Supervisor) certificate(w http.ResponseWriter, r *http.Request, path string) {
	name, password := r.Header.Get("k3s-Node-Name"), r.Header.Get("k3s-Node-Password")
	leaf, ca := pki.Leaf{Client: true}, "client-ca"
	switch path {
	case "client-kube-proxy.crt":
		leaf.CommonName = "system:kube-proxy"
	case "client-k3s-controller.crt":
		leaf.CommonName = "system:k3s-controller"
	default:
		if name == "" || password == "" {
			s.refuse(w, r, http.StatusBadRequest, "node name and password headers are required")
			return
		}
		if code, err := s.checkPassword(r.Context(), name, password); err != nil {
			s.refuse(w, r, code, err.Error())
			return
		}
		if path == "client-kubelet.crt" {
			leaf.CommonName, leaf.Organizations = "system:node:"+name, []string{"system:nodes"}
		} else {
			leaf, ca = pki.Leaf{CommonName: name, Server: true, Names: []string{name, "localhost", "127.0.0.1", "::1"}}, "server-ca"
			for _, ip := range strings.Split(r.Header.Get("k3s-Node-IP"), ",") {
				if ip != "" {
					leaf.Names = append(leaf.Names, ip)
				}
			}
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	public, err := pki.RequestKey(body)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	authority, err := pki.LoadCA(s.node.TLS(ca+".crt"), s.node.TLS(ca+".key"))
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	text, err := authority.Sign(leaf, public)
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	_, _ = w.Write(text)
}

// checkPassword holds a node's password against the cluster's record of it, and makes the record for a new node. This
// server's own node is checked against its file, since the cluster may not be up yet.
func (s *Supervisor) checkPassword(ctx context.Context, name, password string) (int, error) {
	if name == s.node.Name {
		text, _ := os.ReadFile("/etc/rancher/node/password")
		if strings.TrimSpace(string(text)) == password {
			logrus.Infof("Password verified locally for node %s", name)
			return 0, nil
		}
	}
	client := s.kube.Load()
	if client == nil {
		return http.StatusServiceUnavailable, fmt.Errorf("runtime core not ready")
	}
	if err := EnsureNodePassword(ctx, client, name, password); err != nil {
		return http.StatusForbidden, err
	}
	return 0, nil
}

// EnsureNodePassword keeps the record of a node's password: kube-system/<node>.node-password.k3s. Another password than
// the recorded one means another host under the same name.
func EnsureNodePassword(ctx context.Context, client kubernetes.Interface, name, password string) error {
	secrets := client.CoreV1().Secrets("kube-system")
	immutable := true
	secret, err := secrets.Get(ctx, name+".node-password.k3s", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		salt := pki.RandomHex(8)
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name + ".node-password.k3s", Namespace: "kube-system"}, Immutable: &immutable, Type: "k3s.cattle.io/node-password",
			Data: map[string][]byte{"hash": []byte(hashPassword(salt, password))},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	salt, _, _ := bytes.Cut(bytes.TrimPrefix(secret.Data["hash"], []byte("$1:")), []byte(":"))
	if string(secret.Data["hash"]) != hashPassword(string(salt), password) {
		return fmt.Errorf("unable to verify password for node %s: hash does not match", name)
	}
	return nil
}

func hashPassword(salt, password string) string {
	sum := sha256.Sum256([]byte(salt + password))
	return "$1:" + salt + ":" + hex.EncodeToString(sum[:])
}

// quiet drops the TLS handshake noise of clients that do not trust us yet.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
