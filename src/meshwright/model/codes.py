"""Every mistake the mesh can name, in one table that docs and tests enumerate.

MW00xx documents and schema, MW01xx routing, MW02xx destinations, MW03xx gateways, MW04xx services and
workloads, MW05xx security.
"""

from meshwright.model.diagnostic import Code, Effect

NOT_YAML = Code("MW0001", Effect.REFUSED, "not readable as YAML or JSON: {0}", "correct the text: {1}")
WRONG_TYPE = Code("MW0002", Effect.REFUSED, "expected {0}, found {1}", "{2}")
UNKNOWN_FIELD = Code("MW0003", Effect.REFUSED, "unknown field {0}", "{1}")
UNKNOWN_KIND = Code("MW0004", Effect.NOTED, "kind {0} of {1} is not used by the mesh", "{2}")
MISSING_FIELD = Code("MW0005", Effect.REFUSED, "{0} is required", "add {0}: {1}")
OUT_OF_RANGE = Code("MW0006", Effect.REFUSED, "{0} is outside {1}", "use a value within {1}")
UNKNOWN_VALUE = Code("MW0007", Effect.REFUSED, "{0} is not one of {1}", "{2}")
BAD_FORMAT = Code("MW0008", Effect.REFUSED, "{0} is not {1}", "write {1}, e.g. {2}")
ONE_OF = Code("MW0009", Effect.REFUSED, "only one of {0} may be set", "keep one of {0}")
DUPLICATE = Code("MW0010", Effect.REFUSED, "{0} stands here twice", "remove or rename one of them")
DUPLICATE_OBJECT = Code("MW0011", Effect.REFUSED, "{0} is declared more than once", "keep one of the documents")
NOT_SUPPORTED = Code("MW0012", Effect.DROPPED, "{0} is not supported yet and is left out", "remove it; {1}")
LIMIT = Code("MW0013", Effect.REFUSED, "the document is beyond the limit of {0}", "make it smaller than {0}")
REPEATED_OBJECT = Code(
    "MW0014", Effect.NOTED, "{0} is written more than once with the same content", "keep one of the documents"
)
GUARD_NOT_SUPPORTED = Code(
    "MW0015", Effect.REFUSED, "{0} is not supported yet, and without it more would be let in", "remove it; {1}"
)

SHELL: tuple[Code, ...] = (
    NOT_YAML, WRONG_TYPE, UNKNOWN_FIELD, UNKNOWN_KIND, MISSING_FIELD, OUT_OF_RANGE, UNKNOWN_VALUE, BAD_FORMAT,
    ONE_OF, DUPLICATE, DUPLICATE_OBJECT, NOT_SUPPORTED, LIMIT, REPEATED_OBJECT, GUARD_NOT_SUPPORTED,
)  # fmt: skip

UNKNOWN_HOST = Code("MW0101", Effect.DROPPED, "no service has the host {0}", "{1}")
UNKNOWN_SUBSET = Code(
    "MW0102",
    Effect.DROPPED,
    "no DestinationRule defines subset {0} of {1}",
    "add a DestinationRule for {1} with the subset {0}",
)
UNKNOWN_PORT = Code("MW0103", Effect.DROPPED, "{0} has no port {1}", "use one of its ports: {2}")
PORT_NEEDED = Code("MW0104", Effect.DROPPED, "{0} has several ports", "add destination.port.number: {1}")
UNKNOWN_GATEWAY = Code("MW0105", Effect.DROPPED, "there is no Gateway {0}", "{1}")
NEVER_REACHED = Code("MW0106", Effect.NOTED, "never reached: {0} already takes every request", "move it before {0}")
HOST_TAKEN = Code("MW0107", Effect.DROPPED, "{0} already routes {1}", "merge the two VirtualServices")
FAULT_NEVER_FIRES = Code(
    "MW0108", Effect.NOTED, "without `percentage` no request is affected", "add percentage: {{value: 100}}"
)
HOST_NOT_SERVED = Code("MW0109", Effect.NOTED, "gateway {0} does not serve {1}", "add {1} to a server's hosts of {0}")
BAD_REGEX = Code("MW0110", Effect.REFUSED, "{0} is not an RE2 expression: {1}", "correct the expression")
EMPTY_FAULT = Code("MW0111", Effect.REFUSED, "a fault needs `delay` or `abort`", "add delay or abort")

UNUSED_SUBSET = Code(
    "MW0201", Effect.NOTED, "no workload of {0} has the labels of subset {1}", "correct the labels: {2}"
)
RULE_TAKEN = Code(
    "MW0202", Effect.DROPPED, "{0} already sets the traffic policy of {1}", "merge the two DestinationRules"
)
RULE_WITHOUT_HOST = Code("MW0203", Effect.NOTED, "no service has the host {0}", "{1}")
CREDENTIAL_UNUSABLE = Code(
    "MW0204",
    Effect.DENIED,
    "credential {0} cannot be used: {1}",
    "create the Secret {0} with tls.crt and tls.key",
)

PORT_TAKEN = Code("MW0301", Effect.DROPPED, "port {0} is already {1} of {2}", "use another port")
NO_GATEWAY_POD = Code("MW0302", Effect.NOTED, "no gateway workload has the labels {0}", "correct the selector: {1}")
NO_CREDENTIAL = Code(
    "MW0303", Effect.DENIED, "there is no usable Secret {0}: {1}", "create it in the gateway's namespace: {2}"
)
SNI_TAKEN = Code(
    "MW0304", Effect.DROPPED, "{0} on port {1} is already served by {2}", "remove the host from one of them"
)
CREDENTIAL_IGNORED = Code(
    "MW0305", Effect.NOTED, "{0} is not used: mode {1} passes TLS on as it is", "write mode: SIMPLE to end TLS here"
)
UNKNOWN_CIPHER = Code("MW0306", Effect.DROPPED, "{0} is no cipher suite of Envoy's, and is left out", "{1}")

SERVICE_TAKEN = Code("MW0401", Effect.DROPPED, "{0} already declares {1}", "remove one of them")
NO_ENDPOINTS = Code(
    "MW0402", Effect.NOTED, "no workload matches the selector of {0}", "correct the selector or the labels"
)
PORT_CONFLICT = Code("MW0403", Effect.DROPPED, "{0} already serves port {1}", "use another port or address")
TARGET_PORT_UNKNOWN = Code("MW0404", Effect.DROPPED, "no container port is named {0}", "name a container port {0}")
NO_IMAGE_ENTRY = Code(
    "MW0405",
    Effect.NOTED,
    "image {0} is not in the image catalogue and the container has no command",
    "add a command, or a ConfigMap labelled meshwright.dev/image-catalogue with an entry for {0}",
)
NOT_MOUNTED = Code("MW0406", Effect.NOTED, "volume {0} is not mounted: {1}", "{2}")

POLICY_DENIES = Code("MW0501", Effect.DENIED, "{0}: the workloads it selects now refuse plain text", "{1}")
POLICY_TAKEN = Code("MW0502", Effect.NOTED, "{0} is older and wins", "remove one of them")
PORT_MODE_NEEDS_SELECTOR = Code(
    "MW0503",
    Effect.REFUSED,
    "portLevelMtls needs a selector",
    "add selector.matchLabels or remove portLevelMtls",
)
ENVOY_REFUSES = Code("MW0601", Effect.DROPPED, "Envoy would refuse {0}: {1}", "correct the field")

ALL: tuple[Code, ...] = (
    *SHELL,
    UNKNOWN_HOST, UNKNOWN_SUBSET, UNKNOWN_PORT, PORT_NEEDED, UNKNOWN_GATEWAY, NEVER_REACHED, HOST_TAKEN,
    FAULT_NEVER_FIRES, HOST_NOT_SERVED, BAD_REGEX, EMPTY_FAULT,
    UNUSED_SUBSET, RULE_TAKEN, RULE_WITHOUT_HOST, CREDENTIAL_UNUSABLE,
    PORT_TAKEN, NO_GATEWAY_POD, NO_CREDENTIAL, SNI_TAKEN, CREDENTIAL_IGNORED, UNKNOWN_CIPHER,
    SERVICE_TAKEN, NO_ENDPOINTS, PORT_CONFLICT, TARGET_PORT_UNKNOWN, NO_IMAGE_ENTRY, NOT_MOUNTED,
    POLICY_DENIES, POLICY_TAKEN, PORT_MODE_NEEDS_SELECTOR, ENVOY_REFUSES,
)  # fmt: skip
