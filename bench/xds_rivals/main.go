// A delta ADS server over the published go-control-plane, for `python -m bench.xds`: the same resources as the other
// servers hold, out of its linear caches (one per class and type behind its MuxCache) or out of its snapshot cache.
//
// Arguments: linear|snapshot, the path of a unix socket, a file with resources. Commands on stdin, a line of JSON back
// for each: `change TYPE_URL NAME BASE64` (in every class) and `stat`.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"syscall"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// held is one resource of the file; mesh the whole file: every class lists positions in Resources.
type held struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

type mesh struct {
	Resources []held  `json:"resources"`
	Classes   [][]int `json:"classes"`
}

// source is what a cache of the library is to this program.
type source interface {
	cache.Cache
	change(typeURL, name string, value types.Resource) error
}

func className(number int) string { return fmt.Sprintf("class-%d", number) }

func decoded(typeURL string, value []byte) (types.Resource, error) {
	var message types.Resource
	switch typeURL {
	case resource.ClusterType:
		message = &cluster.Cluster{}
	case resource.EndpointType:
		message = &endpoint.ClusterLoadAssignment{}
	case resource.ListenerType:
		message = &listener.Listener{}
	case resource.RouteType:
		message = &route.RouteConfiguration{}
	default:
		return nil, fmt.Errorf("no such type: %s", typeURL)
	}
	return message, proto.Unmarshal(value, message)
}

// linear: one LinearCache per class and type.
type linear struct {
	*cache.MuxCache
	byType map[string][]*cache.LinearCache
}

func newLinear(classes []map[string]map[string]types.Resource) *linear {
	made := &linear{&cache.MuxCache{Caches: map[string]cache.Cache{}}, map[string][]*cache.LinearCache{}}
	made.Classify = func(request *cache.Request) string { return request.GetNode().GetCluster() + request.GetTypeUrl() }
	made.ClassifyDelta = func(request *cache.DeltaRequest) string {
		return request.GetNode().GetCluster() + request.GetTypeUrl()
	}
	for number, byType := range classes {
		for typeURL, resources := range byType {
			one := cache.NewLinearCache(typeURL, cache.WithInitialResources(resources))
			made.Caches[className(number)+typeURL] = one
			made.byType[typeURL] = append(made.byType[typeURL], one)
		}
	}
	return made
}

func (made *linear) change(typeURL, name string, value types.Resource) error {
	for _, one := range made.byType[typeURL] {
		if err := one.UpdateResource(name, value); err != nil {
			return err
		}
	}
	return nil
}

// snapshots: one Snapshot per class.
type snapshots struct {
	cache.SnapshotCache
	classes []map[string]map[string]types.Resource
	version int
}

type byCluster struct{}

func (byCluster) ID(node *core.Node) string { return node.GetCluster() }

func newSnapshots(classes []map[string]map[string]types.Resource) (*snapshots, error) {
	made := &snapshots{cache.NewSnapshotCache(false, byCluster{}, nil), classes, 0}
	for number := range classes {
		if err := made.set(number); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (made *snapshots) set(number int) error {
	lists := map[resource.Type][]types.Resource{}
	for typeURL, resources := range made.classes[number] {
		for _, value := range resources {
			lists[typeURL] = append(lists[typeURL], value)
		}
	}
	snapshot, err := cache.NewSnapshot(fmt.Sprint(made.version), lists)
	if err != nil {
		return err
	}
	return made.SetSnapshot(context.Background(), className(number), snapshot)
}

func (made *snapshots) change(typeURL, name string, value types.Resource) error {
	made.version++
	for number, byType := range made.classes {
		byType[typeURL][name] = value
		if err := made.set(number); err != nil {
			return err
		}
	}
	return nil
}

func load(path string) ([]map[string]map[string]types.Resource, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found mesh
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, err
	}
	values := make([]types.Resource, len(found.Resources))
	for number, one := range found.Resources {
		if values[number], err = decoded(one.Type, one.Value); err != nil {
			return nil, err
		}
	}
	classes := make([]map[string]map[string]types.Resource, len(found.Classes))
	for number, positions := range found.Classes {
		classes[number] = map[string]map[string]types.Resource{}
		for _, position := range positions {
			one := found.Resources[position]
			if classes[number][one.Type] == nil {
				classes[number][one.Type] = map[string]types.Resource{}
			}
			classes[number][one.Type][one.Name] = values[position]
		}
	}
	return classes, nil
}

func open(kind, path string) (source, error) {
	classes, err := load(path)
	if err != nil {
		return nil, err
	}
	if kind == "linear" {
		return newLinear(classes), nil
	}
	return newSnapshots(classes)
}

func obey(held source, line string) (map[string]any, error) {
	words := strings.Fields(line)
	if len(words) == 4 && words[0] == "change" {
		value, err := base64.StdEncoding.DecodeString(words[3])
		if err != nil {
			return nil, err
		}
		var at unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
			return nil, err
		}
		message, err := decoded(words[1], value)
		if err != nil {
			return nil, err
		}
		return map[string]any{"at": float64(at.Nano()) / 1e9}, held.change(words[1], words[2], message)
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return nil, err
	}
	return map[string]any{"cpu": float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9}, nil
}

func run() error {
	if len(os.Args) != 4 {
		return fmt.Errorf("usage: %s linear|snapshot SOCKET FILE", os.Args[0])
	}
	held, err := open(os.Args[1], os.Args[3])
	if err != nil {
		return err
	}
	sockets, err := net.Listen("unix", os.Args[2])
	if err != nil {
		return err
	}
	serving := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(serving, server.NewServer(context.Background(), held, nil))
	go func() { log.Fatal(serving.Serve(sockets)) }()
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(map[string]any{"ready": true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		answer, err := obey(held, lines.Text())
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
