-- The end of a run of wrk as one line of JSON with latencies in microseconds.
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    'meshwright-load {"requests": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), failed))
end
