// Package version says what the stand-in calls itself. It serves the version the lab serves, and names itself a
// stand-in in the place where a real k3s has its commit, so that parsers of `k3s version VERSION (COMMIT)` still work.
package version

import "runtime"

const (
	// Version is the k3s release whose behaviour is stood in for.
	Version = "v1.36.2+k3s1"
	// Commit takes the place of the git commit.
	Commit = "standin"
	// StandInLabel is set on every node that a stand-in runs.
	StandInLabel = "heartwood.lab/k3s"
	// PretendedPods is the label and annotation, of value "pretended", of a node that runs no containers for its pods.
	PretendedPods = "heartwood.lab/pods"
)

// Text is what `k3s --version` prints (k3s-captures/00-version.txt).
func Text() string {
	return "k3s version " + Version + " (" + Commit + ")\ngo version " + runtime.Version() + "\n"
}
