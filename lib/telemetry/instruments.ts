import type * as prometheus from 'prom-client'

/** The library as it was loaded. */
type Library = typeof prometheus

/** Bounds of the buckets (s). Calls of tools may take minutes. */
const buckets = {
  /** @see https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ */
  http: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300],
  /** @see https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md */
  mcp: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300],
  /** @see https://opentelemetry.io/docs/specs/semconv/database/database-metrics/ */
  redis: [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
  phases: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
}

/** What is counted and measured as it happens. docs/metrics.md has a row for each. */
export function createInstruments ({ Counter, Gauge, Histogram }: Library, registry: prometheus.Registry) {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[]) =>
    new Histogram({ name, help, buckets, labelNames, registers })

  return {
    requests: histogram(
      'http_server_request_duration_seconds', 'Duration of requests, by the pattern of their route', buckets.http,
      ['http_request_method', 'http_route', 'http_response_status_code']
    ),
    failures: counter('mcpc_failures_total', 'Requests that were answered with a failure, by its code', ['code']),
    calls: counter(
      'mcpc_tool_calls_total', 'Tool calls that are over', ['server', 'tool', 'outcome', 'error_type']
    ),
    callStates: counter('mcpc_kept_calls_total', 'Calls that sessions keep, by the state that they came to', ['state']),
    phases: histogram(
      'mcpc_phase_duration_seconds', 'Duration of the phases of requests', buckets.phases, ['phase', 'server']
    ),
    active: gauge('mcpc_phase_active', 'Phases that are under way', ['phase']),
    operations: histogram(
      'mcp_client_operation_duration_seconds', 'Duration of requests to MCP servers', buckets.mcp,
      ['server', 'mcp_method_name', 'gen_ai_tool_name', 'error_type']
    ),
    processEnds: counter('mcpc_process_ends_total', 'Ends of processes of MCP servers', ['server', 'end']),
    sessionLoads: counter('mcpc_session_loads_total', 'Sessions that requests asked for', ['outcome']),
    sessionEvents: counter('mcpc_session_events_total', 'Sessions that were opened or came to their end', ['event']),
    commands: histogram(
      'db_client_operation_duration_seconds', 'Duration of commands to Redis', buckets.redis,
      ['db_system_name', 'db_operation_name', 'error_type']
    ),
    outages: counter('mcpc_redis_outages_total', 'Outages of Redis that began'),
    isRedisUp: gauge('mcpc_redis_up', '1 while no outage of Redis is known')
  }
}

export type Instruments = ReturnType<typeof createInstruments>
