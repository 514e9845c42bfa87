"""Mesh settings become access logs: Istio's line by default, for requests, connections and refused connections."""

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
from meshwright.model.settings import MeshSettings

DEFAULT_LINE = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" '
    "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
NO_CHAIN = "NR"


def logs(settings: MeshSettings) -> tuple[AccessLog, ...]:
    """For HTTP and TCP filters; empty when logging is off."""
    if not settings.access_log_file:
        return ()
    line = settings.access_log_format or DEFAULT_LINE
    file = FileAccessLog(
        path=settings.access_log_file,
        log_format=SubstitutionFormatString(text_format_source=DataSource(inline_string=line)),
    )
    return (AccessLog(name="envoy.access_loggers.file", typed_config=pack(file)),)


def stream_logs(settings: MeshSettings) -> tuple[AccessLog, ...]:
    """For connections that are also logged when they begin: only their ends."""
    ended = AccessLogFilter(log_type_filter=LogTypeFilter(types=[accesslog_pb2.TcpConnectionEnd]))
    return tuple(AccessLog(name=log.name, filter=ended, typed_config=log.typed_config) for log in logs(settings))


def listener_logs(settings: MeshSettings) -> tuple[AccessLog, ...]:
    """For listeners: only connections for which there is no filter chain."""
    refused = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=[NO_CHAIN]))
    return tuple(AccessLog(name=log.name, filter=refused, typed_config=log.typed_config) for log in logs(settings))
