import { cleanMediaType } from '../http/media-type.ts'
import {
  type JsonDocument, type JsonNode, memberOf, presentMember, readJson, stringMember, stringOf, TooManyValuesError
} from '../json-text.ts'
import { jsonContent, type ResultContent, textContent } from './result.ts'

/** What is kept of a tool's reply, JSON text: the bytes of the only block, where it is one that has bytes. */
export function contentOfReply (body: string | Buffer, form: string | undefined): ResultContent {
  if (form !== 'content') return jsonContent(body)
  return onlyItem(read(body.toString(), 4), 'content', contentOfBlock) ?? jsonContent(body)
}

/** What is kept of the contents of a resource, JSON text: the bytes of the only one. */
export function contentOfResource (body: string): ResultContent {
  return onlyItem(read(body, 3), 'contents', contentOfItem) ?? jsonContent(body)
}

/** A list of one block lists few values; one with more stays JSON. */
const mostNodes = 1_000

function read (body: string, depth: number): JsonDocument | null {
  try {
    return readJson(body, depth, { maxValues: mostNodes })
  } catch (error) {
    if (error instanceof TooManyValuesError) return null
    throw error
  }
}

function onlyItem (
  document: JsonDocument | null,
  name: string,
  contentOf: (document: JsonDocument, node: JsonNode) => ResultContent | null
): ResultContent | null {
  const [item, ...others] = document === null ? [] : memberOf(document.root, name)?.items ?? []
  return document === null || item === undefined || others.length > 0 ? null : contentOf(document, item)
}

/** An image, a sound, or a resource in a tool's result. */
function contentOfBlock (document: JsonDocument, block: JsonNode): ResultContent | null {
  const type = stringMember(document, block, 'type')
  if (type === 'image' || type === 'audio') return decoded(document, block, 'data')
  const resource = type === 'resource' ? presentMember(block, 'resource') : null
  return resource && contentOfItem(document, resource)
}

/** @see https://modelcontextprotocol.io/specification/2025-11-25/server/resources#resource-contents */
function contentOfItem (document: JsonDocument, item: JsonNode): ResultContent | null {
  const text = presentMember(item, 'text')
  if (text?.type !== 'string') return decoded(document, item, 'blob')
  const mimeType = stringMember(document, item, 'mimeType')
  return textContent(stringOf(document, text), mimeType === null ? 'text/plain' : cleanMediaType(mimeType))
}

/** `null` where there is no Base64: who reads the result gets what the server gave, and not a guess. */
function decoded (document: JsonDocument, node: JsonNode, name: string): ResultContent | null {
  const data = presentMember(node, name)
  if (data?.type !== 'string') return null
  const text = stringOf(document, data)
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null
  const type = cleanMediaType(stringMember(document, node, 'mimeType'))
  return { kind: 'binary', type, content: Buffer.from(text, 'base64') }
}
