"""Everything that an explanation says, by key: `words` and others choose, this is how it reads in English."""

from meshwright.model.sentence import Phrasebook

EXPLAINED = Phrasebook(
    {
        # the way to a destination
        "no-proxy": "the caller has no proxy: what it sends goes as it is",
        "no-listener": "no listener takes this port",
        "takes": "it takes {application} to {place}",
        "no-chain": "no filter chain takes this connection: it is closed",
        "forwards-nothing": "nothing in this chain forwards",
        "not-http": "this port is for HTTP, and this is not HTTP",
        "stream-ruled": "its rule says where the connection goes",
        "stream-ruled-tls": "its rule says where the connection goes: only its server name is seen",
        "stream": "no rule: the connection goes on as it is",
        "stream-tls": "no rule: the connection goes on as it is: only its server name is seen",
        "no-routes": "the proxy has no routes of this name",
        "no-virtual-host": "no virtual host serves {host}",
        "to-https": "plain HTTP is answered with {status}, to the same at https",
        "every-host": "nothing else serves {host}, and this takes every host",
        "fits": "{host} fits {domain}",
        "serves": "it serves {domain}",
        "no-rule": "no rule takes this request, and there is none for the rest",
        "conditions-hold": "all of its conditions hold: {conditions}",
        "every-request": "it takes every request",
        # what a rule asks for
        "path-wanted": "path {wanted}",
        "header-wanted": "header {name}",
        "query-wanted": "query parameter {name}",
        "path-begins-not": "the path {path} does not begin with {wanted}",
        "path-is-not": "the path {path} is not {wanted}",
        "path-matches-not": "the path {path} does not match {wanted}",
        "query-would": "the query parameter {name} would have to be one that {condition}",
        "header-fails": "the header {name} {has}, and {condition}",
        "is-absent": "is absent",
        "is": "is {text}",
        "matches": "matches {text}",
        "begins": "begins with {text}",
        "ends": "ends with {text}",
        "contains": "contains {text}",
        "is-there": "is there",
        "must-be-there": "must be there",
        "must-not-be-there": "must not be there",
        "must-not": "must not be one that {condition}",
        "would": "would have to be one that {condition}",
        # what a rule does
        "delay": "{share}% of the requests wait {milliseconds} ms first",
        "abort": "{share}% of the requests are answered with status {status}, and go nowhere",
        "abort-grpc": "{share}% of the requests are answered with gRPC status {status}, and go nowhere",
        "redirects": "the answer is {status}, to {location}",
        "answers": "the proxy answers {status}",
        "timeout": "the whole answer must come within {milliseconds} ms",
        "retries": "up to {count} more attempts on {conditions}",
        "path-becomes": "the path becomes {path}",
        "host-becomes": "the host becomes {host}",
        "both-become": "the path becomes {path} and the host becomes {host}",
        "mirror": "{share}% are copied there; answers to copies are thrown away",
        "share": "{weight} of {total} requests",
        "all-requests": "all of these requests",
        # who answers there
        "no-cluster": "there is no cluster {name}: the destination does not exist",
        "no-endpoint": "it has no endpoint that is ready",
        "leads-nowhere": "it leads nowhere",
        "one-endpoint": "one endpoint: {endpoints}",
        "endpoints": "{count} endpoints: {endpoints}",
        "mesh-tls": "the mesh's mutual TLS, with the caller's own certificate",
        "mesh-tls-ruled": "the mesh's mutual TLS, with the caller's own certificate, as its DestinationRule says",
        "mesh-tls-some": (
            "the mesh's mutual TLS to the {own} of {count} endpoints with a proxy; plain text to the others"
        ),
        "rule-tls": "TLS as its DestinationRule says",
        "plain-text": "plain text",
        "pod-without-proxy": "{pod} has no proxy and does not speak the mesh's mutual TLS",
        "other-identity": "{pod} is {identity}, and the client accepts only {names}",
        "service-without-port": "the service at {address} has no port {port}; it has {ports}",
        "service-without-endpoint": "the service at {address} has no endpoint that is ready",
        "nothing-listens": "nothing of {pod} listens on port {port}",
        "no-plain-text": "{pod} does not take plain text on port {port} (its mutual TLS mode is STRICT)",
        "not-this-tls": "{pod} does not take this TLS on port {port} (its mutual TLS mode is STRICT)",
        "not-this-tls-but-others": (
            "{pod} does not take this TLS on port {port} (it takes plain text there, and the mesh's own TLS)"
        ),
        "ends-no-tls": "{pod} does not end the mesh's mutual TLS: its mode is DISABLE",
        "ends-no-rule-tls": (
            "{pod} takes this port for plain HTTP and does not end the TLS that its DestinationRule wants"
        ),
        "wants-certificate": "{pod} wants a client certificate of the mesh",
        # names and ports that were not meant
        "alias": "it stands for {host}, which is no service of the mesh: that is looked up outside",
        "unknown-name": "no service of the mesh has this name: it is looked up outside",
        "unknown-name-near": "no service of the mesh has this name (did you mean {near}?): it is looked up outside",
        "unknown-port": "{host} has no port {port}; it has {ports}",
    }
)
say = EXPLAINED.say
