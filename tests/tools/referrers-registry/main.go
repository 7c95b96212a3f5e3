// referrers-registry serves one of two registries that have the OCI referrers API, on loopback, for tests, each as it is:
// "ociregistry" keeps everything in memory, and answers null for an empty list of referrers; "ggcr" keeps blobs in a folder,
// sends no OCI-Subject header, has the config's media type where a referrer's artifactType belongs, and no ranges without an
// end.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen")
	blobs := flag.String("blobs", "", "folder of the blobs (ggcr)")
	kind := flag.String("kind", "ociregistry", "ociregistry or ggcr")
	flag.Parse()
	var handler http.Handler
	switch *kind {
	case "ociregistry":
		handler = ociserver.New(ocimem.New(), nil)
	case "ggcr":
		quiet := log.New(io.Discard, "", 0)
		disk := registry.NewDiskBlobHandler(*blobs)
		handler = registry.New(registry.WithReferrersSupport(true), registry.WithBlobHandler(disk), registry.Logger(quiet))
	default:
		log.Fatalf("unknown kind %q", *kind)
	}
	server := http.Server{Addr: *address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
