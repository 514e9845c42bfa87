"""Every mistake the mesh can name, in one table that docs and tests enumerate.

MW00xx documents and schema, MW01xx routing, MW02xx destinations, MW03xx gateways, MW04xx services and
workloads, MW05xx security. Those that the analyzers find are notes: nothing is left out because of them.
"""

from meshwright.model.diagnostic import Code, Effect

NOT_YAML = Code("MW0001", Effect.REFUSED, "not readable as YAML or JSON: {0}", "correct the text: {1}")
WRONG_TYPE = Code("MW0002", Effect.REFUSED, "expected {0}, found {1}", "{2}", istio="IST0106")
UNKNOWN_FIELD = Code("MW0003", Effect.REFUSED, "unknown field {0}", "{1}", istio="IST0106")
UNKNOWN_KIND = Code("MW0004", Effect.NOTED, "kind {0} of {1} is not used by the mesh", "{2}")
MISSING_FIELD = Code("MW0005", Effect.REFUSED, "{0} is required", "add {0}: {1}", istio="IST0106")
OUT_OF_RANGE = Code("MW0006", Effect.REFUSED, "{0} is outside {1}", "use a value within {1}", istio="IST0106")
UNKNOWN_VALUE = Code("MW0007", Effect.REFUSED, "{0} is not one of {1}", "{2}", istio="IST0106")
BAD_FORMAT = Code("MW0008", Effect.REFUSED, "{0} is not {1}", "write {1}, e.g. {2}", istio="IST0106")
ONE_OF = Code("MW0009", Effect.REFUSED, "only one of {0} may be set", "keep one of {0}", istio="IST0106")
DUPLICATE = Code("MW0010", Effect.REFUSED, "{0} stands here twice", "remove or rename one of them", istio="IST0106")
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

UNKNOWN_HOST = Code("MW0101", Effect.DROPPED, "no service has the host {0}", "{1}", istio="IST0101")
UNKNOWN_SUBSET = Code(
    "MW0102",
    Effect.DROPPED,
    "no DestinationRule defines subset {0} of {1}",
    "add a DestinationRule for {1} with the subset {0}",
    istio="IST0101",
)
UNKNOWN_PORT = Code("MW0103", Effect.DROPPED, "{0} has no port {1}", "use one of its ports: {2}")
PORT_NEEDED = Code(
    "MW0104", Effect.DROPPED, "{0} has several ports", "add destination.port.number: {1}", istio="IST0112"
)
UNKNOWN_GATEWAY = Code("MW0105", Effect.DROPPED, "there is no Gateway {0}", "{1}", istio="IST0101")
NEVER_REACHED = Code(
    "MW0106", Effect.NOTED, "never reached: {0} already takes every request", "move it before {0}", istio="IST0130"
)
HOST_TAKEN = Code(
    "MW0107", Effect.DROPPED, "{0} already routes {1}", "merge the two VirtualServices", istio="IST0109"
)
FAULT_NEVER_FIRES = Code(
    "MW0108", Effect.NOTED, "without `percentage` no request is affected", "add percentage: {{value: 100}}"
)
HOST_NOT_SERVED = Code(
    "MW0109", Effect.NOTED, "gateway {0} does not serve {1}", "add {1} to a server's hosts of {0}", istio="IST0132"
)
BAD_REGEX = Code(
    "MW0110", Effect.REFUSED, "{0} is not an RE2 expression: {1}", "correct the expression", istio="IST0106"
)
EMPTY_FAULT = Code(
    "MW0111", Effect.REFUSED, "a fault needs `delay` or `abort`", "add delay or abort", istio="IST0106"
)
REPEATED_MATCH = Code(
    "MW0112",
    Effect.NOTED,
    "never reached: {0} asks for the same",
    "remove it, or change its conditions",
    istio="IST0131",
)
SHADOWED = Code(
    "MW0113",
    Effect.NOTED,
    "never reached: {0} already takes all of these requests",
    "move it before {0}",
    istio="IST0130",
)
MATCH_PORT_UNKNOWN = Code(
    "MW0114", Effect.NOTED, "never holds: no host or gateway of the rule has port {0}", "use one of {1}"
)
OTHER_PROTOCOL = Code(
    "MW0115",
    Effect.NOTED,
    "never used: no port of {0} carries {1}",
    "correct the protocol of the port, or write {2} rules",
)
SAME_DESTINATION = Code(
    "MW0116", Effect.NOTED, "{0} stands in this route twice", "add the weights up, or name another subset"
)
GATEWAY_NOT_BOUND = Code(
    "MW0117", Effect.NOTED, "never holds: {0} is not among spec.gateways", "add {0} to spec.gateways"
)
NO_SOURCE = Code("MW0118", Effect.NOTED, "never holds: no workload has {0}", "correct it: {1}", istio="IST0127")
NO_TIME_TO_RETRY = Code(
    "MW0119",
    Effect.NOTED,
    "there is no second try: the first one may take {0}, the whole request {1}",
    "make perTryTimeout shorter than the timeout",
)
WEIGHTS_NOT_100 = Code(
    "MW0120", Effect.NOTED, "the weights add up to {0}, so the shares are {1}", "write weights that add up to 100"
)
ROUTE_WITHHELD = Code(
    "MW0121",
    Effect.DROPPED,
    "not in effect: subset {0} of {1} is not defined; {2}",
    "add the subset to a DestinationRule (meshwright apply --fix does); it takes effect by itself then",
    istio="IST0101",
)
SUBSET_KEPT = Code(
    "MW0122",
    Effect.NOTED,
    "subset {0} of {1} is not defined any more; as long as this route needs it, it stays as it was",
    "change the route, or add the subset to a DestinationRule again",
    istio="IST0101",
)

UNUSED_SUBSET = Code(
    "MW0201",
    Effect.NOTED,
    "no workload of {0} has the labels of subset {1}",
    "correct the labels: {2}",
    istio="IST0173",
)
RULE_TAKEN = Code(
    "MW0202", Effect.DROPPED, "{0} already sets the traffic policy of {1}", "merge the two DestinationRules"
)
RULE_WITHOUT_HOST = Code("MW0203", Effect.NOTED, "no service has the host {0}", "{1}", istio="IST0174")
CREDENTIAL_UNUSABLE = Code(
    "MW0204",
    Effect.DENIED,
    "credential {0} cannot be used: {1}",
    "create the Secret {0} with tls.crt and tls.key",
    istio="IST0101",
)
SUBSET_OF_ALL = Code(
    "MW0205",
    Effect.NOTED,
    "subset {0} has no labels, so it is every workload of {1}",
    "add labels, e.g. version: {0}",
)
RULE_PORT_UNKNOWN = Code(
    "MW0206", Effect.NOTED, "{0} has no port {1}, so this is not used", "use one of its ports: {2}"
)
PLAIN_TEXT_REFUSED = Code(
    "MW0207",
    Effect.NOTED,
    "with mode {0} every request fails: {1} takes the mesh's mutual TLS only",
    "remove `tls`, or write mode: ISTIO_MUTUAL",
)
MUTUAL_TLS_UNANSWERED = Code(
    "MW0208",
    Effect.NOTED,
    "with mode ISTIO_MUTUAL every request fails: {0} does not take the mesh's mutual TLS: {1}",
    "remove `tls`, or write mode: DISABLE",
)
SERVER_UNCHECKED = Code(
    "MW0209",
    Effect.NOTED,
    "whoever answers is trusted: the server's certificate is not checked",
    "remove insecureSkipVerify, and name its authority in caCertificates",
    istio="IST0128",
)

PORT_TAKEN = Code("MW0301", Effect.DROPPED, "port {0} is already {1} of {2}", "use another port")
NO_GATEWAY_POD = Code(
    "MW0302", Effect.NOTED, "no gateway workload has the labels {0}", "correct the selector: {1}", istio="IST0101"
)
NO_CREDENTIAL = Code(
    "MW0303",
    Effect.DENIED,
    "there is no usable Secret {0}: {1}",
    "create it in the gateway's namespace: {2}",
    istio="IST0161",
)
SNI_TAKEN = Code(
    "MW0304",
    Effect.DROPPED,
    "{0} on port {1} is already served by {2}",
    "remove the host from one of them",
    istio="IST0145",
)
CREDENTIAL_IGNORED = Code(
    "MW0305", Effect.NOTED, "{0} is not used: mode {1} passes TLS on as it is", "write mode: SIMPLE to end TLS here"
)
UNKNOWN_CIPHER = Code("MW0306", Effect.DROPPED, "{0} is no cipher suite of Envoy's, and is left out", "{1}")
SERVED_TWICE = Code(
    "MW0307", Effect.NOTED, "{0} on port {1} is also served by {2}", "write it into one of them", istio="IST0145"
)
CERTIFICATE_SHARED = Code(
    "MW0308",
    Effect.NOTED,
    "{0} is also the certificate of {1}: browsers send requests for one over connections for the other, and get 404",
    "serve their hosts in one Gateway",
    istio="IST0138",
)
PORT_NOT_ON_SERVICE = Code(
    "MW0309", Effect.NOTED, "no Service leads to port {0} of the gateway", "add the port to {1}", istio="IST0162"
)
GATEWAY_WITHOUT_RULES = Code(
    "MW0310", Effect.NOTED, "no VirtualService is bound to {0}: requests get 404", "add gateways: [{0}] to one"
)

SERVICE_TAKEN = Code("MW0401", Effect.DROPPED, "{0} already declares {1}", "remove one of them")
NO_ENDPOINTS = Code(
    "MW0402",
    Effect.NOTED,
    "no workload matches the selector of {0}",
    "correct the selector or the labels",
    istio="IST0127",
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
SELECTS_NOBODY = Code(
    "MW0407",
    Effect.NOTED,
    "no workload of namespace {0} has the labels {1}",
    "correct the selector: {2}",
    istio="IST0127",
)
PROTOCOL_NOT_NAMED = Code(
    "MW0408",
    Effect.NOTED,
    "nothing says what port {0} carries, so each connection is looked into first",
    "add appProtocol, or name it after its protocol, e.g. http-{1}",
    istio="IST0118",
)
TARGET_PORT_SHARED = Code(
    "MW0409",
    Effect.NOTED,
    "port {0} of the same workloads is also port {1} of {2}",
    "use one port for it in all Services",
    istio="IST0137",
)
PROTOCOLS_DIFFER = Code(
    "MW0410",
    Effect.NOTED,
    "{0} says that port {1} of the same workloads carries {2}, not {3}",
    "name one protocol in all Services",
    istio="IST0116",
)
ADDRESSES_NEEDED = Code(
    "MW0411",
    Effect.NOTED,
    "without addresses, connections for port {0} of everybody may be taken for {1}",
    "add spec.addresses, or a resolution other than NONE",
    istio="IST0134",
)
TARGET_PORT_NOT_DECLARED = Code(
    "MW0412",
    Effect.NOTED,
    "no container of its workloads declares port {0}",
    "correct targetPort ({1}), or declare the port",
)
TWO_INJECTION_LABELS = Code(
    "MW0413", Effect.NOTED, "it has istio-injection and istio.io/rev", "keep one of them", istio="IST0123"
)
UNKNOWN_ANNOTATION = Code("MW0414", Effect.NOTED, "there is no annotation {0}", "{1}", istio="IST0108")
ANNOTATION_MISPLACED = Code("MW0415", Effect.NOTED, "{0} means nothing on a {1}", "write it on {2}", istio="IST0107")
ANNOTATION_VALUE = Code("MW0416", Effect.NOTED, "{0} cannot be {1}", "write {2}", istio="IST0125")
IMAGE_NOT_REPLACED = Code(
    "MW0417",
    Effect.NOTED,
    "nothing replaces image auto of a pod that is no gateway",
    "add the annotation inject.istio.io/templates: gateway, or name an image",
    istio="IST0146",
)
UNKNOWN_SERVICE_ACCOUNT = Code(
    "MW0418", Effect.NOTED, "there is no ServiceAccount {0}", "create it in namespace {1}", istio="IST0101"
)
UNKNOWN_VOLUME_SOURCE = Code("MW0419", Effect.NOTED, "there is no {0}", "create it: the pod waits", istio="IST0101")
PROTOCOLS_DISAGREE = Code(
    "MW0420", Effect.NOTED, "{0} says that port {1} of {2} carries {3}, not {4}", "name one protocol", istio="IST0177"
)

POLICY_DENIES = Code("MW0501", Effect.DENIED, "{0}: the workloads it selects now refuse plain text", "{1}")
POLICY_TAKEN = Code("MW0502", Effect.NOTED, "{0} is older and wins", "remove one of them")
PORT_MODE_NEEDS_SELECTOR = Code(
    "MW0503",
    Effect.REFUSED,
    "portLevelMtls needs a selector",
    "add selector.matchLabels or remove portLevelMtls",
    istio="IST0106",
)
PORT_MODE_UNUSED = Code(
    "MW0504", Effect.NOTED, "none of its workloads serves port {0}", "use the workload's port, not the Service's: {1}"
)
POLICY_WITHOUT_PROXY = Code(
    "MW0505",
    Effect.NOTED,
    "nothing keeps it: none of its workloads has a proxy",
    "remove what switches injection off",
    istio="IST0167",
)
POLICY_IN_ROOT = Code(
    "MW0506",
    Effect.NOTED,
    "a selector in the root namespace selects nothing",
    "remove the selector, or move it to the namespace of the workloads",
    istio="IST0167",
)
ENVOY_REFUSES = Code("MW0601", Effect.DROPPED, "Envoy would refuse {0}: {1}", "correct the field")

ALL: tuple[Code, ...] = (
    *SHELL,
    UNKNOWN_HOST, UNKNOWN_SUBSET, UNKNOWN_PORT, PORT_NEEDED, UNKNOWN_GATEWAY, NEVER_REACHED, HOST_TAKEN,
    FAULT_NEVER_FIRES, HOST_NOT_SERVED, BAD_REGEX, EMPTY_FAULT,
    REPEATED_MATCH, SHADOWED, MATCH_PORT_UNKNOWN, OTHER_PROTOCOL, SAME_DESTINATION, GATEWAY_NOT_BOUND, NO_SOURCE,
    NO_TIME_TO_RETRY, WEIGHTS_NOT_100, ROUTE_WITHHELD, SUBSET_KEPT,
    UNUSED_SUBSET, RULE_TAKEN, RULE_WITHOUT_HOST, CREDENTIAL_UNUSABLE,
    SUBSET_OF_ALL, RULE_PORT_UNKNOWN, PLAIN_TEXT_REFUSED, MUTUAL_TLS_UNANSWERED, SERVER_UNCHECKED,
    PORT_TAKEN, NO_GATEWAY_POD, NO_CREDENTIAL, SNI_TAKEN, CREDENTIAL_IGNORED, UNKNOWN_CIPHER,
    SERVED_TWICE, CERTIFICATE_SHARED, PORT_NOT_ON_SERVICE, GATEWAY_WITHOUT_RULES,
    SERVICE_TAKEN, NO_ENDPOINTS, PORT_CONFLICT, TARGET_PORT_UNKNOWN, NO_IMAGE_ENTRY, NOT_MOUNTED,
    SELECTS_NOBODY, PROTOCOL_NOT_NAMED, TARGET_PORT_SHARED, PROTOCOLS_DIFFER, ADDRESSES_NEEDED,
    TARGET_PORT_NOT_DECLARED, TWO_INJECTION_LABELS, UNKNOWN_ANNOTATION, ANNOTATION_MISPLACED, ANNOTATION_VALUE,
    IMAGE_NOT_REPLACED, UNKNOWN_SERVICE_ACCOUNT, UNKNOWN_VOLUME_SOURCE, PROTOCOLS_DISAGREE,
    POLICY_DENIES, POLICY_TAKEN, PORT_MODE_NEEDS_SELECTOR, PORT_MODE_UNUSED, POLICY_WITHOUT_PROXY,
    POLICY_IN_ROOT, ENVOY_REFUSES,
)  # fmt: skip
