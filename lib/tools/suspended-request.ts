import type { CallKind, HeldCall } from '../calls/call.ts'
import type { PendingCalls, PendingRequests } from '../calls/pending-calls.ts'
import { McpCallError, SessionNotFoundError } from '../errors.ts'
import { type JsonValue, memberTexts, objectText, presentMember, readJson, stringMember, textOf } from '../json-text.ts'
import { type Mask, maskJson } from '../mask.ts'
import type { InputRequests } from '../mcp/client/input-requests.ts'
import type { Continuation } from '../mcp/client/server-client.ts'
import type { Session } from '../sessions/session.ts'

/** The reply to a request that its server may answer with input requests. */
export interface SuspendableReply {
  /** JSON text. */
  body: string
  /** The server requests input first. */
  isSuspended?: true
}

export interface Suspension<Kind extends CallKind> {
  /** `null` when servers are not allowed to request input. */
  pendingCalls: PendingCalls | null
  session: Session
  kind: Kind
  request: Omit<PendingRequests[Kind], 'state'>
  /** The call that waits, where there was one before. */
  held?: HeldCall | null
  /** For the sentence of a failure: the server, and what was requested of it (`tool search`). */
  server: string
  what: string
  /** For the questions. */
  mask: Mask
}

/**
 * Keeps a request until the caller responds to its server's input requests. Gives the reply's body, which says so.
 */
export async function suspend<Kind extends CallKind> (
  { requests, state, task }: InputRequests, suspension: Suspension<Kind>
): Promise<string> {
  const { pendingCalls, session, kind, request, held, server, what, mask } = suspension
  const requested = `requested input for ${what}`
  if (pendingCalls === null) throw new McpCallError(server, `${requested}, although it was told that it gets none`)
  if (needsWhatIsMasked(requests, mask)) {
    throw new McpCallError(server, `${requested} with a secret in an address or in the name of a question`)
  }
  const pending = {
    ...request, ...(state !== undefined && { state }), ...(task !== undefined && { task })
  } as PendingRequests[Kind]
  const masked = maskJson(requests, mask)
  const answering = (token: string, id: string) =>
    inputRequiredText(masked, token, kind === 'tool' ? id : null)
  const kept = await pendingCalls.keep(session, kind, pending, answering, held).catch((cause: unknown) => {
    // Not StoreUnavailableError, which says that the same request may be sent again: the tool may have acted already.
    const fault = `${requested}, and the call could not be kept until the caller responds`
    throw new McpCallError(server, fault, { cause })
  })
  if ('refused' in kept) {
    if (kept.refused === 'session ended') throw new SessionNotFoundError(session.id)
    const fault = kept.refused === 'full'
      ? 'the session has as many calls as it may keep'
      : 'the call is too large to be kept until the caller responds'
    throw new McpCallError(server, `${requested}, and ${fault}`)
  }
  return kept.body
}

/**
 * Whether a caller could not respond to input requests once they are masked: an address would lead elsewhere, and a
 * name would not be the server's.
 */
function needsWhatIsMasked (requests: string, mask: Mask): boolean {
  const document = readJson(requests, 3)
  return document?.root.members?.some(({ name, value }) => {
    const url = stringMember(document, presentMember(value, 'params'), 'url')
    return mask(name) !== name || (url !== null && mask(url) !== url)
  }) ?? false
}

/** How a request that waited goes on: with its own state, and with the caller's responses. */
export const continuationOf = (
  { state, task }: { state?: string, task?: string }, responses = '{}'
): Continuation => ({ responses, ...(state !== undefined && { state }), ...(task !== undefined && { task }) })

/**
 * `requests` is the JSON text of an object. Each request gets its key as its `id`. `call` is the id of the call that
 * waits; `null` for what is no call.
 */
export function inputRequiredText (requests: string, token: string, call: string | null): string {
  const document = readJson(requests, 2)
  const items = document?.root.members?.map(({ name: id, value }) => {
    const members = [...memberTexts(document, value)].filter(([name]) => name !== 'id')
    return objectText([['id', JSON.stringify(id)], ...members])
  }) ?? []
  return objectText([
    ['status', '"input_required"'],
    ['requests', `[${items.join(',')}]`],
    ['continue', JSON.stringify(token)],
    ...(call === null ? [] : [['call', JSON.stringify(call)] as const])
  ])
}

/** A list in a server's result, as JSON text. Some servers give `null` for none, and an item where a list is due. */
export function listText ({ document, node }: JsonValue, name: string): string {
  const list = presentMember(node, name)
  if (list === null) return '[]'
  return list.type === 'array' ? textOf(document, list) : `[${textOf(document, list)}]`
}
