import {
  type JsonDocument, type JsonNode, memberOf, presentMember, readJson, stringMember, textOf, TooManyValuesError, valueOf
} from '../../json-text.ts'
import { BoundError, defaultBounds } from '../transports/bounds.ts'
import { errorCodes } from './protocol.ts'

/** A value that a server sent, within the text of its message. */
export interface RpcValue { readonly document: JsonDocument, readonly node: JsonNode }

/** The error of a response. */
export interface RpcFailure {
  code: number
  message: string
  /** JSON text; absent where the server gives none. */
  data?: string
}

/** The id of a response: `null` where the server gives none, or one that cannot be ours. */
type ResponseId = number | null

/** A request of the server. `idText` is the id as the server wrote it, to be given back. */
export interface RpcRequest { kind: 'request', idText: string, method: string, params: RpcValue | null }

/** A JSON-RPC message, read as tolerantly as its meaning allows. */
export type RpcMessage =
  | { kind: 'result', id: ResponseId, result: RpcValue }
  | { kind: 'failure', id: ResponseId, failure: RpcFailure }
  /** A response without a result or an error that anybody could use. */
  | { kind: 'unusable', id: ResponseId, text: string }
  | RpcRequest
  | { kind: 'notification', method: string, params: RpcValue | null }

/** How deep the parts of a message are listed: message, result, list or content, item. */
const listedDepth = 4

/**
 * The messages in a text: one, or those of a batch. `null` for a text that is no JSON-RPC, which is noise. Throws
 * BoundError when it has more values than `maxValues`, as far down as they are listed.
 *
 * Takes what real servers write: a byte order mark, a prompt glued before the message, `null` for an absent field, ids
 * and codes as text, a missing `jsonrpc`. Fields that are not known stay in the text.
 *
 * @see https://www.jsonrpc.org/specification
 */
export function readMessages (text: string, maxValues = defaultBounds.maxValues): RpcMessage[] | null {
  if (!text.includes('{')) return null // a server may write many such lines
  const document = readBounded(text, maxValues) ?? readGlued(text, maxValues)
  if (document === null) return null
  const { root } = document
  if (root.items === undefined) {
    const message = readMessage(document, root)
    return message === null ? null : [message]
  }
  // The parts of a batch lie a level deeper.
  const messages = root.items.flatMap(item => readMessages(textOf(document, item), maxValues) ?? [])
  return messages.length === 0 ? null : messages
}

/** A REPL or a shell may have written its prompt before the first message of a line. */
function readGlued (text: string, maxValues: number): JsonDocument | null {
  const start = text.indexOf('{')
  if (start <= 0 || !text.includes('"jsonrpc"', start)) return null
  return readBounded(text.slice(start), maxValues)
}

function readBounded (text: string, maxValues: number, depth = listedDepth): JsonDocument | null {
  try {
    // Structured content may be a list of millions of numbers, of which nobody here needs one.
    return readJson(text, depth, { maxValues, shallow: 'structuredContent' })
  } catch (error) {
    if (!(error instanceof TooManyValuesError)) throw error
    throw new BoundError(`a message has more than ${maxValues} values (MCP_MAX_MESSAGE_VALUES)`)
  }
}

/** A value that lies deeper in a message than its parts are listed, read as if it were a message's result. */
export function readResult (text: string, maxValues = defaultBounds.maxValues): RpcValue | null {
  const document = readBounded(text, maxValues, listedDepth - 1)
  return document === null ? null : { document, node: document.root }
}

function readMessage (document: JsonDocument, node: JsonNode): RpcMessage | null {
  if (node.members === undefined || !isRpc(node)) return null
  const method = stringMember(document, node, 'method')
  const id = presentMember(node, 'id')
  if (method !== null) {
    const params = presentMember(node, 'params')
    const value = params && { document, node: params }
    if (id !== null) return { kind: 'request', idText: textOf(document, id), method, params: value }
    return { kind: 'notification', method, params: value }
  }
  const error = presentMember(node, 'error')
  const result = memberOf(node, 'result')
  if (error === null && result === null && memberOf(node, 'id') === null) return null
  const ownId = readId(document, id)
  // An error that says nothing is a library's default beside a result, and nothing that anybody could use without one.
  const isAlone = presentMember(node, 'result') === null
  if (error !== null && (saysSomething(error) || (isAlone && error.members === undefined))) {
    return { kind: 'failure', id: ownId, failure: readFailure(document, error) }
  }
  if (result?.members !== undefined) return { kind: 'result', id: ownId, result: { document, node: result } }
  return { kind: 'unusable', id: ownId, text: document.text }
}

const saysSomething = (error: JsonNode) =>
  presentMember(error, 'code') !== null || presentMember(error, 'message') !== null

/** The version may be missing or be written as a number. A log line in JSON has other fields. */
const rpcFields = new Set(['jsonrpc', 'id', 'result', 'error', 'method', 'params'])

function isRpc (node: JsonNode): boolean {
  const isAnswer = presentMember(node, 'id') !== null && memberOf(node, 'result') !== null
  return isAnswer || memberOf(node, 'jsonrpc') !== null || (node.members ?? []).every(({ name }) => rpcFields.has(name))
}

/** Our ids are whole numbers; a server may give them back as text. */
function readId (document: JsonDocument, id: JsonNode | null): ResponseId {
  if (id === null || (id.type !== 'number' && id.type !== 'string')) return null
  return asInteger(valueOf(document, id))
}

function asInteger (value: unknown): number | null {
  const number = typeof value === 'string' && /^\s*-?\d+(\.0+)?\s*$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : null
}

/** The code of an error that says none. */
const unknownCode = errorCodes.internalError

export function readFailure (document: JsonDocument, error: JsonNode): RpcFailure {
  const data = presentMember(error, 'data')
  const code = presentMember(error, 'code')
  const message = error.type === 'string' ? String(valueOf(document, error)) : stringMember(document, error, 'message')
  return {
    code: (code && asInteger(valueOf(document, code))) ?? unknownCode,
    message: message ?? textOf(document, error),
    ...(data !== null && { data: textOf(document, data) })
  }
}
