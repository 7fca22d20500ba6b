import type * as sdk from '@modelcontextprotocol/client'
import { withAdded } from '../../json-text.ts'
import { packageName, version } from '../../version.ts'

/*
 * Constants of the protocol. The types hold them to those of the SDK. Only types are imported: the SDK's values come
 * with its schemas, which each worker would load.
 */

/** The era of 2026: no handshake, no session; each request names its version and its client. */
export const modernVersion = '2026-07-28'

/** Versions of the eras before, newest first. The first one is offered in a handshake. */
export const legacyVersions = [
  '2025-11-25' satisfies typeof sdk.LATEST_PROTOCOL_VERSION, '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'
] as const

/** Keys of `_meta` that a request of the era of 2026 carries. */
export const metaKeys = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion' satisfies typeof sdk.PROTOCOL_VERSION_META_KEY,
  clientInfo: 'io.modelcontextprotocol/clientInfo' satisfies typeof sdk.CLIENT_INFO_META_KEY,
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities' satisfies typeof sdk.CLIENT_CAPABILITIES_META_KEY,
  logLevel: 'io.modelcontextprotocol/logLevel' satisfies typeof sdk.LOG_LEVEL_META_KEY,
  /** Of a message of the older eras that is about a task. */
  relatedTask: 'io.modelcontextprotocol/related-task' satisfies typeof sdk.RELATED_TASK_META_KEY,
  /** Of a server's description of itself. */
  serverInfo: 'io.modelcontextprotocol/serverInfo' satisfies typeof sdk.SERVER_INFO_META_KEY
} as const

/** An error code of the SDK, as a number. */
type CodeOf<Code extends sdk.ProtocolErrorCode> = `${Code}` extends `${infer Value extends number}` ? Value : never

/** @see https://www.jsonrpc.org/specification#error_object and the error codes of each MCP revision */
export const errorCodes = {
  parseError: -32_700 satisfies CodeOf<sdk.ProtocolErrorCode.ParseError>,
  invalidRequest: -32_600 satisfies CodeOf<sdk.ProtocolErrorCode.InvalidRequest>,
  methodNotFound: -32_601 satisfies CodeOf<sdk.ProtocolErrorCode.MethodNotFound>,
  invalidParams: -32_602 satisfies CodeOf<sdk.ProtocolErrorCode.InvalidParams>,
  internalError: -32_603 satisfies CodeOf<sdk.ProtocolErrorCode.InternalError>,
  resourceNotFound: -32_002 satisfies CodeOf<sdk.ProtocolErrorCode.ResourceNotFound>,
  headerMismatch: -32_020, // the SDK keeps its own to itself
  missingClientCapability: -32_021 satisfies CodeOf<sdk.ProtocolErrorCode.MissingRequiredClientCapability>,
  unsupportedVersion: -32_022 satisfies CodeOf<sdk.ProtocolErrorCode.UnsupportedProtocolVersion>,
  urlElicitationRequired: -32_042 satisfies CodeOf<sdk.ProtocolErrorCode.UrlElicitationRequired>
} as const

/** This service, as it names itself to a server. Both eras take the same form. */
export const clientInfo = JSON.stringify({ name: packageName, version })

export const clientCapabilities = (declaresElicitation: boolean) =>
  declaresElicitation ? '{"elicitation":{"form":{},"url":{}}}' : '{}'

/**
 * The same with what each request of the era of 2026 says: its tool may answer with a task. The era before has no such
 * word for a client that asks for tasks itself.
 * @see https://modelcontextprotocol.github.io/ext-tasks/specification/2026-07-28/tasks.html
 */
export const modernCapabilities = (declaresElicitation: boolean) =>
  withAdded(clientCapabilities(declaresElicitation), [['extensions', '{"io.modelcontextprotocol/tasks":{}}']])
