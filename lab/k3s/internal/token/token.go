// Package token reads k3s tokens and speaks to a server with one.
package token

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

// Token is the shared secret of a cluster in either of its forms: `PASSWORD`, or `K10<CA hash>::USER:PASSWORD`, whose
// hash lets a joiner tell the right cluster from a wrong one (k3s-captures/06-tokens.txt).
type Token struct {
	// CAHash is the hex SHA-256 of the cluster CA's PEM file, empty in the short form.
	CAHash   string
	User     string
	Password string
}

// Parse reads a token; user is who the short form speaks for.
func Parse(text, user string) (Token, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Token{}, errors.New("token must not be empty")
	}
	if !strings.HasPrefix(text, "K10") {
		return Token{User: user, Password: text}, nil
	}
	hash, rest, found := strings.Cut(text[3:], "::")
	if !found || len(hash) != 64 {
		return Token{}, errors.New("invalid token format")
	}
	if _, err := hex.DecodeString(hash); err != nil {
		return Token{}, errors.New("invalid token CA hash length")
	}
	name, password, both := strings.Cut(rest, ":")
	if !both {
		name, password = user, rest
	}
	if password == "" {
		return Token{}, errors.New("invalid token format")
	}
	return Token{CAHash: hash, User: name, Password: password}, nil
}

// Format writes the long form, as server/token holds it.
func Format(ca []byte, user, password string) string {
	return "K10" + HashCA(ca) + "::" + user + ":" + password
}

// HashCA is the hash of a CA file as tokens carry it.
func HashCA(ca []byte) string {
	sum := sha256.Sum256(ca)
	return hex.EncodeToString(sum[:])
}

// ReadFile reads a token file without its line ending; a missing file is an empty token.
func ReadFile(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Client speaks to one server's supervisor API with basic authentication.
type Client struct {
	Base string
	// CA is the cluster's CA as the server gave it, already compared with the token's hash.
	CA       []byte
	User     string
	Password string
	http     *http.Client
}

const untrusted = "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation."

// Connect fetches the server's CA, holds it against the token, and returns a client that trusts it and nothing else.
// Errors carry k3s's words (k3s-captures/17-join-wrong-token.txt).
func Connect(server, text, user string) (*Client, error) {
	parsed, err := Parse(text, user)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("invalid server URL %q: %w", server, err)
	}
	if base.Scheme != "https" {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", server)
	}
	anyCA := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	root := strings.TrimSuffix(server, "/")
	response, err := anyCA.Get(root + "/cacerts")
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	ca, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("failed to get CA certs: %s: %s", root+"/cacerts", response.Status)
	}
	if parsed.CAHash == "" {
		logrus.Warn(untrusted)
	} else if hash := HashCA(ca); hash != parsed.CAHash {
		return nil, fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", parsed.CAHash, hash)
	}
	client := &Client{Base: root, CA: ca, User: user, Password: parsed.Password}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("failed to get CA certs: no certificate in the answer")
	}
	client.http = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	return client, nil
}

// As is the same connection speaking for another user of the same password ("node" or "server").
func (c *Client) As(user string) *Client {
	other := *c
	other.User = user
	return &other
}

// Do sends one request and returns the answer's body; a refusal's own message is the error.
func (c *Client) Do(ctx context.Context, method, path string, body []byte, header http.Header) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		request.Header[key] = values
	}
	request.SetBasicAuth(c.User, c.Password)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		var status struct{ Message string }
		if json.Unmarshal(answer, &status) == nil && status.Message != "" {
			return nil, errors.New(status.Message)
		}
		return nil, fmt.Errorf("%s: %s", c.Base+path, response.Status)
	}
	return answer, nil
}

// Get is Do with GET.
func (c *Client) Get(path string) ([]byte, error) {
	return c.Do(context.Background(), http.MethodGet, path, nil, nil)
}
