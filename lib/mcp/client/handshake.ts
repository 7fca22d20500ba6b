import { isJsonObject, type JsonObject, parseJsonObject } from '../../json.ts'
import { valueOf } from '../../json-text.ts'
import { clientInfo, errorCodes, legacyVersions, modernVersion } from './protocol.ts'
import { RequestTimeoutError, RpcError, UnusableAnswerError } from './protocol-errors.ts'
import type { Era } from './protocol-era.ts'
import type { RpcValue } from './rpc-message.ts'

/** What is known of a server once it is connected. */
export interface Peer {
  era: Era
  /** The version that both speak; `null` where the server named none. */
  version: string | null
  /** Absent where the server said nothing of them, as in a session that goes on. */
  capabilities?: unknown
  /** What the server says of its own use. */
  instructions?: string
}

export interface HandshakeOptions {
  capabilities: string
  /** How long the whole handshake may take (ms). */
  timeoutMs: number
  /** How long the question for the era may stay without an answer (ms). */
  probeTimeoutMs: number
  /** The server is a process: one that does not answer the question for its era is of the eras before. */
  isProcess: boolean
  request: (method: string, members: Iterable<readonly [string, string]>, options: { timeoutMs: number, era: Era['kind'] }) => Promise<RpcValue>
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
  if (known?.kind === 'modern') return modernPeer(known.discover)
  if (known === null) {
    const discover = await probe(options)
    if (discover !== null) return modernPeer(discover)
  }
  return await initialize(options, legacyVersions[0], true)
}

function modernPeer (discover: JsonObject): Peer {
  return { era: { kind: 'modern', discover }, version: modernVersion, ...described(discover) }
}

function described ({ instructions, capabilities }: JsonObject): Pick<Peer, 'instructions' | 'capabilities'> {
  return {
    ...(typeof instructions === 'string' && { instructions }),
    ...(isJsonObject(capabilities) && { capabilities })
  }
}

/** What a server of the era of 2026 says of itself; `null` for a server of the eras before. */
async function probe (options: HandshakeOptions, isSecond = false): Promise<JsonObject | null> {
  try {
    const result = await options.request('server/discover', [], { timeoutMs: options.probeTimeoutMs, era: 'modern' })
    const discover = valueOf(result.document, result.node)
    return isJsonObject(discover) && includes(discover.supportedVersions, modernVersion) ? discover : null
  } catch (error) {
    if (error instanceof RequestTimeoutError && options.isProcess) return null
    if (error instanceof UnusableAnswerError) return null
    if (!(error instanceof RpcError)) throw error
    const isAskedAgain = error.code === errorCodes.unsupportedProtocolVersion && includes(supportedIn(error), modernVersion)
    return isAskedAgain && !isSecond ? await probe(options, true) : null
  }
}

/** A server that refuses the version is tried once with a version that it names. */
async function initialize (options: HandshakeOptions, offered: string, mayOfferAnother: boolean): Promise<Peer> {
  let result: RpcValue
  try {
    result = await options.request('initialize', [
      ['protocolVersion', JSON.stringify(offered)], ['capabilities', options.capabilities], ['clientInfo', clientInfo]
    ], { timeoutMs: options.timeoutMs, era: 'legacy' })
  } catch (error) {
    const other = error instanceof RpcError ? anotherVersion(error, offered) : null
    if (other === null || !mayOfferAnother) throw error
    return await initialize(options, other, false)
  }
  const answer = valueOf(result.document, result.node) as JsonObject // a result is an object
  const { protocolVersion } = answer
  const version = typeof protocolVersion === 'string' && protocolVersion !== '' ? protocolVersion : null
  await options.initialized(version)
  return { era: { kind: 'legacy' }, version, ...described(answer) }
}

/** The version that a refusal names: the newest that we know, else the first one. */
function anotherVersion (error: RpcError, offered: string): string | null {
  const named = supportedIn(error)
  const texts = (Array.isArray(named) ? named : [named]).filter(version => typeof version === 'string' && version !== offered)
  return legacyVersions.find(version => texts.includes(version)) ?? texts[0] ?? null
}

function supportedIn ({ data }: RpcError): unknown {
  const { supported, supportedVersions } = parseJsonObject(data ?? '') ?? {}
  return supported ?? supportedVersions
}

const includes = (list: unknown, item: string) => Array.isArray(list) && list.includes(item)
