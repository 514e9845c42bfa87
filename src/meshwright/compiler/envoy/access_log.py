"""Mesh settings become access logs: Istio's line by default, for requests, connections and refused connections."""

import json
from collections.abc import Mapping

from meshwright.compiler.proto import pack
from meshwright.envoyapi.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    LogTypeFilter,
    ResponseFlagFilter,
)
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import DataSource
from meshwright.envoyapi.envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from meshwright.envoyapi.envoy.data.accesslog.v3 import accesslog_pb2
from meshwright.envoyapi.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from meshwright.model.settings import AccessLogEncoding, MeshSettings

DEFAULT_LINE = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" '
    "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
DEFAULT_FIELDS: Mapping[str, str] = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
"""Istio's keys of a line in JSON."""
NO_CHAIN = "NR"


def logs(settings: MeshSettings) -> tuple[AccessLog, ...]:
    """For HTTP and TCP filters; empty when logging is off."""
    if not settings.access_log_file:
        return ()
    file = FileAccessLog(path=settings.access_log_file, log_format=_format(settings))
    return (AccessLog(name="envoy.access_loggers.file", typed_config=pack(file)),)


def _format(settings: MeshSettings) -> SubstitutionFormatString:
    """A line of text, or an object; what is not said is Istio's default."""
    if settings.access_log_encoding is AccessLogEncoding.JSON:
        made = SubstitutionFormatString()
        made.json_format.update(
            json.loads(settings.access_log_format) if settings.access_log_format else DEFAULT_FIELDS
        )
        return made
    line = settings.access_log_format or DEFAULT_LINE
    return SubstitutionFormatString(text_format_source=DataSource(inline_string=line))


def stream_logs(settings: MeshSettings) -> tuple[AccessLog, ...]:
    """For connections that are also logged when they begin: only their ends."""
    ended = AccessLogFilter(log_type_filter=LogTypeFilter(types=[accesslog_pb2.TcpConnectionEnd]))
    return tuple(AccessLog(name=log.name, filter=ended, typed_config=log.typed_config) for log in logs(settings))


def listener_logs(settings: MeshSettings) -> tuple[AccessLog, ...]:
    """For listeners: only connections for which there is no filter chain."""
    refused = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=[NO_CHAIN]))
    return tuple(AccessLog(name=log.name, filter=refused, typed_config=log.typed_config) for log in logs(settings))
