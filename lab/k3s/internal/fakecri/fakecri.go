// Package fakecri is a container runtime that runs nothing: every pod and container it is asked for is said to run. It is
// for emulated hosts, whose emulator cannot carry a real one; the node says so in an annotation.
package fakecri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"lab/k3s/internal/pki"
)

// Runtime is the pretended runtime.
type Runtime struct {
	cri.UnimplementedRuntimeServiceServer
	cri.UnimplementedImageServiceServer
	mu         sync.Mutex
	node       string
	sandboxes  map[string]*cri.PodSandbox
	containers map[string]*container
	images     map[string]*cri.Image
}

type container struct {
	status  *cri.ContainerStatus
	sandbox string
}

// Serve serves the runtime on a unix socket until the context ends.
func Serve(ctx context.Context, socket, node string) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	r := &Runtime{node: node, sandboxes: map[string]*cri.PodSandbox{}, containers: map[string]*container{}, images: map[string]*cri.Image{}}
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, r)
	cri.RegisterImageServiceServer(server, r)
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) && ctx.Err() == nil {
			logrus.Errorf("pretended container runtime: %v", err)
		}
	}()
	return nil
}

// Version names the runtime for what it is.
func (r *Runtime) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: "pretended", RuntimeVersion: "1.0.0", RuntimeApiVersion: "v1"}, nil
}

// Status is always good.
func (r *Runtime) Status(context.Context, *cri.StatusRequest) (*cri.StatusResponse, error) {
	return &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{{Type: cri.RuntimeReady, Status: true}, {Type: cri.NetworkReady, Status: true}}}}, nil
}

// RuntimeConfig says which cgroup driver is in use.
func (r *Runtime) RuntimeConfig(context.Context, *cri.RuntimeConfigRequest) (*cri.RuntimeConfigResponse, error) {
	return &cri.RuntimeConfigResponse{Linux: &cri.LinuxRuntimeConfiguration{CgroupDriver: cri.CgroupDriver_CGROUPFS}}, nil
}

// UpdateRuntimeConfig does nothing.
func (r *Runtime) UpdateRuntimeConfig(context.Context, *cri.UpdateRuntimeConfigRequest) (*cri.UpdateRuntimeConfigResponse, error) {
	return &cri.UpdateRuntimeConfigResponse{}, nil
}

// RunPodSandbox notes a pod.
func (r *Runtime) RunPodSandbox(_ context.Context, request *cri.RunPodSandboxRequest) (*cri.RunPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := request.Config
	id := pki.RandomHex(32)
	r.sandboxes[id] = &cri.PodSandbox{Id: id, Metadata: c.Metadata, State: cri.PodSandboxState_SANDBOX_READY, CreatedAt: time.Now().UnixNano(), Labels: c.Labels, Annotations: c.Annotations}
	return &cri.RunPodSandboxResponse{PodSandboxId: id}, nil
}

// StopPodSandbox ends a pod.
func (r *Runtime) StopPodSandbox(_ context.Context, request *cri.StopPodSandboxRequest) (*cri.StopPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sandbox := r.sandboxes[request.PodSandboxId]; sandbox != nil {
		sandbox.State = cri.PodSandboxState_SANDBOX_NOTREADY
	}
	for _, c := range r.containers {
		if c.sandbox == request.PodSandboxId {
			c.end()
		}
	}
	return &cri.StopPodSandboxResponse{}, nil
}

// RemovePodSandbox forgets a pod.
func (r *Runtime) RemovePodSandbox(_ context.Context, request *cri.RemovePodSandboxRequest) (*cri.RemovePodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sandboxes, request.PodSandboxId)
	for id, c := range r.containers {
		if c.sandbox == request.PodSandboxId {
			delete(r.containers, id)
		}
	}
	return &cri.RemovePodSandboxResponse{}, nil
}

// PodSandboxStatus tells of a pod; it has an address nobody answers at.
func (r *Runtime) PodSandboxStatus(_ context.Context, request *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sandboxes[request.PodSandboxId]
	if s == nil {
		return nil, fmt.Errorf("not found: pod sandbox %s", request.PodSandboxId)
	}
	return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{Id: s.Id, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, Labels: s.Labels, Annotations: s.Annotations,
		Network: &cri.PodSandboxNetworkStatus{Ip: "192.0.2.1"}, Linux: &cri.LinuxPodSandboxStatus{Namespaces: &cri.Namespace{Options: &cri.NamespaceOption{}}}}}, nil
}

// ListPodSandbox lists the pods.
func (r *Runtime) ListPodSandbox(_ context.Context, request *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var items []*cri.PodSandbox
	for _, s := range r.sandboxes {
		f := request.Filter
		if f == nil || (f.Id == "" || f.Id == s.Id) && (f.State == nil || f.State.State == s.State) && matches(f.LabelSelector, s.Labels) {
			items = append(items, s)
		}
	}
	return &cri.ListPodSandboxResponse{Items: items}, nil
}

// CreateContainer notes a container.
func (r *Runtime) CreateContainer(_ context.Context, request *cri.CreateContainerRequest) (*cri.CreateContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := request.Config
	id := pki.RandomHex(32)
	r.containers[id] = &container{sandbox: request.PodSandboxId, status: &cri.ContainerStatus{Id: id, Metadata: c.Metadata, State: cri.ContainerState_CONTAINER_CREATED,
		CreatedAt: time.Now().UnixNano(), Image: c.Image, ImageRef: c.Image.GetImage(), Labels: c.Labels, Annotations: c.Annotations, Mounts: c.Mounts}}
	return &cri.CreateContainerResponse{ContainerId: id}, nil
}

// StartContainer says that a container runs.
func (r *Runtime) StartContainer(_ context.Context, request *cri.StartContainerRequest) (*cri.StartContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[request.ContainerId]
	if c == nil {
		return nil, fmt.Errorf("not found: container %s", request.ContainerId)
	}
	c.status.State, c.status.StartedAt = cri.ContainerState_CONTAINER_RUNNING, time.Now().UnixNano()
	return &cri.StartContainerResponse{}, nil
}

func (c *container) end() {
	if c.status.State != cri.ContainerState_CONTAINER_EXITED {
		c.status.State, c.status.FinishedAt, c.status.Reason = cri.ContainerState_CONTAINER_EXITED, time.Now().UnixNano(), "Completed"
	}
}

// StopContainer ends a container.
func (r *Runtime) StopContainer(_ context.Context, request *cri.StopContainerRequest) (*cri.StopContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[request.ContainerId]; c != nil {
		c.end()
	}
	return &cri.StopContainerResponse{}, nil
}

// RemoveContainer forgets a container.
func (r *Runtime) RemoveContainer(_ context.Context, request *cri.RemoveContainerRequest) (*cri.RemoveContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.containers, request.ContainerId)
	return &cri.RemoveContainerResponse{}, nil
}

// ContainerStatus tells of a container.
func (r *Runtime) ContainerStatus(_ context.Context, request *cri.ContainerStatusRequest) (*cri.ContainerStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[request.ContainerId]
	if c == nil {
		return nil, fmt.Errorf("not found: container %s", request.ContainerId)
	}
	return &cri.ContainerStatusResponse{Status: c.status}, nil
}

// ListContainers lists the containers.
func (r *Runtime) ListContainers(_ context.Context, request *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var items []*cri.Container
	for _, c := range r.containers {
		s, f := c.status, request.Filter
		if f == nil || (f.Id == "" || f.Id == s.Id) && (f.State == nil || f.State.State == s.State) && (f.PodSandboxId == "" || f.PodSandboxId == c.sandbox) && matches(f.LabelSelector, s.Labels) {
			items = append(items, &cri.Container{Id: s.Id, PodSandboxId: c.sandbox, Metadata: s.Metadata, Image: s.Image, ImageRef: s.ImageRef, State: s.State, CreatedAt: s.CreatedAt, Labels: s.Labels, Annotations: s.Annotations})
		}
	}
	return &cri.ListContainersResponse{Containers: items}, nil
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// ListContainerStats has nothing to count.
func (r *Runtime) ListContainerStats(context.Context, *cri.ListContainerStatsRequest) (*cri.ListContainerStatsResponse, error) {
	return &cri.ListContainerStatsResponse{}, nil
}

// ListPodSandboxStats has nothing to count.
func (r *Runtime) ListPodSandboxStats(context.Context, *cri.ListPodSandboxStatsRequest) (*cri.ListPodSandboxStatsResponse, error) {
	return &cri.ListPodSandboxStatsResponse{}, nil
}

// ListImages lists the images that were asked for.
func (r *Runtime) ListImages(context.Context, *cri.ListImagesRequest) (*cri.ListImagesResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var images []*cri.Image
	for _, image := range r.images {
		images = append(images, image)
	}
	return &cri.ListImagesResponse{Images: images}, nil
}

// ImageStatus tells of an image.
func (r *Runtime) ImageStatus(_ context.Context, request *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &cri.ImageStatusResponse{Image: r.image(request.Image.GetImage())}, nil
}

// image is an image by name: every image there might be is here, since none is ever run.
func (r *Runtime) image(name string) *cri.Image {
	if r.images[name] == nil {
		r.images[name] = &cri.Image{Id: name, RepoTags: []string{name}, Size: 1, Spec: &cri.ImageSpec{Image: name}}
	}
	return r.images[name]
}

// PullImage has every image.
func (r *Runtime) PullImage(_ context.Context, request *cri.PullImageRequest) (*cri.PullImageResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &cri.PullImageResponse{ImageRef: r.image(request.Image.GetImage()).Id}, nil
}

// RemoveImage forgets an image.
func (r *Runtime) RemoveImage(_ context.Context, request *cri.RemoveImageRequest) (*cri.RemoveImageResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.images, request.Image.GetImage())
	return &cri.RemoveImageResponse{}, nil
}

// ImageFsInfo counts nothing.
func (r *Runtime) ImageFsInfo(context.Context, *cri.ImageFsInfoRequest) (*cri.ImageFsInfoResponse, error) {
	usage := []*cri.FilesystemUsage{{Timestamp: time.Now().UnixNano(), FsId: &cri.FilesystemIdentifier{Mountpoint: "/var/lib/kubelet"}, UsedBytes: &cri.UInt64Value{}, InodesUsed: &cri.UInt64Value{}}}
	return &cri.ImageFsInfoResponse{ImageFilesystems: usage, ContainerFilesystems: usage}, nil
}
