import { isJsonObject, type JsonObject, parseJsonObject } from '../../json.ts'
import { valueOf } from '../../json-text.ts'
import { clientInfo, errorCodes, legacyVersions, metaKeys, modernVersion } from './protocol.ts'
import {
  ConnectionClosedError, ProbeEndedError, RequestTimeoutError, RpcError, UnusableAnswerError
} from './protocol-errors.ts'
import type { Era } from './protocol-era.ts'
import type { RpcValue } from './rpc-message.ts'
import { boundedInstructions, type Instructions, type ServerBounds } from './server-bounds.ts'

/** A server, once it is connected. */
export interface Peer extends Instructions {
  era: Era
  /** Names of the capabilities that the server declared; absent where they are not known. */
  capabilities?: readonly string[]
  /** The name and version that the server gave itself; absent where it gave none. */
  version?: string
}

export interface HandshakeOptions {
  /** This client's capabilities, JSON text. */
  capabilities: string
  bounds: ServerBounds
  /** How long the server may take to answer the probe for its era (ms). */
  probeTimeoutMs: number
  /** The server is a process. One that does not answer the probe is of an older era. */
  isProcess: boolean
  /** See TextTransport. */
  refusesMethod: (error: unknown) => boolean
  /** Sends a request of the handshake, within the time that is left for all of it. */
  request: (
    method: string, members: Iterable<readonly [string, string]>, options: { timeoutMs?: number, era: Era['kind'] }
  ) => Promise<RpcValue>
  /** Sends `notifications/initialized`. The server's answer to it does not matter. */
  initialized: (version: string | null) => Promise<void>
}

/**
 * Finds out a server's era when it is not known, and shakes hands where its era has a handshake.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
 */
export async function shakeHands (known: Era | null, options: HandshakeOptions): Promise<Peer> {
  if (known?.kind === 'modern') return modernPeer(known.discover, options.bounds)
  const probed = known === null ? await probe(options) : null
  if (probed !== null && 'discover' in probed) {
    return modernPeer(usedParts(probed.discover, options.bounds), options.bounds)
  }
  try {
    return await initialize(options, legacyVersions[0], true)
  } catch (error) {
    // The server is of the era of 2026: what it answered the probe with is what is wrong with it.
    const isModern = error instanceof RpcError && error.code === errorCodes.unsupportedVersion
    throw isModern && probed !== null ? probed.failure : error
  }
}

const modernPeer = (discover: JsonObject, bounds: ServerBounds): Peer =>
  ({ era: { kind: 'modern', discover }, ...describe(discover, bounds) })

/** The capabilities that decide what a server is asked for. */
const usedCapabilities = ['tools', 'resources', 'prompts', 'completions']
const isDeclared = (value: unknown) => value !== undefined && value !== null

/** Name for what a server declares under `experimental`, as no specification does yet: it keeps state between calls. */
export const statefulCapability = 'experimental/stateful'

/** Name for what a server of the older eras declares of tasks: its tools may be called with one. */
export const taskCapability = 'tasks/tools/call'

function declaresTasks (tasks: unknown): boolean {
  const requests = isJsonObject(tasks) ? tasks.requests : null
  const ofTools = isJsonObject(requests) ? requests.tools : null
  return isJsonObject(ofTools) && isDeclared(ofTools.call)
}

function declaredIn ({ capabilities }: JsonObject): string[] {
  if (!isJsonObject(capabilities)) return []
  const used = usedCapabilities.filter(name => isDeclared(capabilities[name]))
  const declared = declaresTasks(capabilities.tasks) ? [...used, taskCapability] : used
  const { experimental } = capabilities
  const stateful = isJsonObject(experimental) ? experimental.stateful : null
  return stateful === true || isJsonObject(stateful) ? [...declared, statefulCapability] : declared
}

function describe (description: JsonObject, bounds: ServerBounds): Omit<Peer, 'era'> {
  const { instructions, areInstructionsLeftOut } = description
  return {
    ...(areInstructionsLeftOut === true ? { areInstructionsLeftOut } : boundedInstructions(instructions, bounds)),
    capabilities: declaredIn(description),
    ...versionIn(description)
  }
}

/** A longer text is told apart by its beginning (characters). */
const maxVersionLength = 200

/** The identity of a server of either era; a description that was made shorter has it ready. */
function versionIn ({ version, serverInfo, _meta }: JsonObject): Pick<Peer, 'version'> {
  if (typeof version === 'string') return { version: version.slice(0, maxVersionLength) }
  const identity = serverInfo ?? (isJsonObject(_meta) ? _meta[metaKeys.serverInfo] : undefined)
  if (!isJsonObject(identity)) return {}
  return { version: JSON.stringify([identity.name, identity.version]).slice(0, maxVersionLength) }
}

/** The parts of a modern server's description that are used. It is kept in Redis, and a server may say anything. */
const usedParts = (discover: JsonObject, bounds: ServerBounds): JsonObject => ({
  ...boundedInstructions(discover.instructions, bounds),
  ...(discover.cacheScope === 'public' && { cacheScope: 'public' }),
  capabilities: Object.fromEntries(declaredIn(discover).filter(name => name !== taskCapability).map(name =>
    name === statefulCapability ? ['experimental', { stateful: true }] : [name, {}])),
  ...versionIn(discover)
})

/** A modern server's description of itself; `null` for a server of an older era. */
type Probed = { discover: JsonObject } | { failure: Error } | null

/** A server that answers the probe with nothing that can be used may be of an older era. */
async function probe (options: HandshakeOptions, isSecond = false): Promise<Probed> {
  try {
    const result = await options.request('server/discover', [], { timeoutMs: options.probeTimeoutMs, era: 'modern' })
    const discover = valueOf(result.document, result.node)
    return isJsonObject(discover) && includes(discover.supportedVersions, modernVersion) ? { discover } : null
  } catch (error) {
    if (error instanceof RequestTimeoutError && options.isProcess) return null
    if (error instanceof UnusableAnswerError || options.refusesMethod(error)) return { failure: error as Error }
    if (error instanceof ConnectionClosedError) throw new ProbeEndedError(error.message)
    if (!(error instanceof RpcError)) throw error
    const mayBeModern = error.code === errorCodes.unsupportedVersion && includes(versionsIn(error), modernVersion)
    return mayBeModern && !isSecond ? await probe(options, true) : null
  }
}

/** A server that refuses the version is tried once with a version that it names. */
async function initialize (options: HandshakeOptions, offered: string, mayOfferAnother: boolean): Promise<Peer> {
  let result: RpcValue
  try {
    result = await options.request('initialize', [
      ['protocolVersion', JSON.stringify(offered)], ['capabilities', options.capabilities], ['clientInfo', clientInfo]
    ], { era: 'legacy' })
  } catch (error) {
    const other = error instanceof RpcError ? anotherVersion(error, offered) : null
    if (other === null || !mayOfferAnother) throw error
    return await initialize(options, other, false)
  }
  const answer = valueOf(result.document, result.node) as JsonObject // a result is an object
  const { protocolVersion } = answer
  const version = typeof protocolVersion === 'string' && protocolVersion !== '' ? protocolVersion : null
  await options.initialized(version)
  return { era: { kind: 'legacy' }, ...describe(answer, options.bounds) }
}

/**
 * The version that a refusal names: the newest one that this client knows, else the first one. Servers name it in the
 * error's data, or in its sentence.
 */
function anotherVersion (error: RpcError, offered: string): string | null {
  const named = versionsIn(error)
  const inSentence = error.message.match(/\b20\d\d-\d\d-\d\d\b/g) ?? []
  const versions = [named, inSentence].flat()
    .filter((version): version is string => typeof version === 'string' && version !== offered)
  return legacyVersions.find(version => versions.includes(version)) ?? versions[0] ?? null
}

function versionsIn ({ data }: RpcError): unknown {
  const { supported, supportedVersions } = parseJsonObject(data ?? '') ?? {}
  return supported ?? supportedVersions
}

const includes = (list: unknown, item: string) => Array.isArray(list) && list.includes(item)
