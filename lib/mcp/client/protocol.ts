import { packageName, version } from '../../version.ts'

/*
 * Constants of the protocol. A test holds them to those of the SDK: importing them from there would load its schemas into
 * every worker.
 */

/** The era of 2026: no handshake, no session; each request says its version and who asks. */
export const modernVersion = '2026-07-28'

/** Versions of the eras before, newest first. The first one is offered in a handshake. */
export const legacyVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'] as const

/** Keys of `_meta` that a request of the era of 2026 carries. */
export const metaKeys = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  baggage: 'baggage'
} as const

/** @see https://www.jsonrpc.org/specification#error_object and the error codes of each MCP revision */
export const errorCodes = {
  parseError: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internalError: -32_603,
  resourceNotFound: -32_002,
  headerMismatch: -32_020,
  missingRequiredClientCapability: -32_021,
  unsupportedProtocolVersion: -32_022,
  urlElicitationRequired: -32_042
} as const

/** What a client says of itself. Both eras take the same form. */
export const clientInfo = JSON.stringify({ name: packageName, version })

export const clientCapabilities = (declaresElicitation: boolean) =>
  declaresElicitation ? '{"elicitation":{"form":{},"url":{}}}' : '{}'
