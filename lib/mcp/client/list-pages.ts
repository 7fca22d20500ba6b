import type { JsonObject } from '../../json.ts'
import { type JsonNode, memberOf, presentMember, stringMember, textOf, valueOf } from '../../json-text.ts'
import { BoundError } from '../transports/bounds.ts'
import { heavyTurn } from '../transports/heavy-turns.ts'
import type { Members } from './protocol-client.ts'
import type { RpcValue } from './rpc-message.ts'
import type { ServerBounds } from './server-bounds.ts'

/** An item of a list, as its server wrote it. */
export interface ListedItem {
  /** JSON text. */
  text: string
  /** The same as a value: for looking at it. Digits beyond a double are lost in it. */
  value: JsonObject
}

export interface Listed {
  items: ListedItem[]
  /** How long the server lets its list be remembered (ms), when it says so. */
  ttlMs?: number
  /** Items that are left out, and why, for the reply. */
  warnings: string[]
  /** The server declares, under `experimental`, that it keeps state between calls. */
  declaresState?: true
}

/** The lists that servers have. `key` tells an item from the others; an item without it cannot be used. */
export const listKinds = {
  tools: { method: 'tools/list', capability: 'tools', what: 'tools', key: 'name' },
  resources: { method: 'resources/list', capability: 'resources', what: 'resources', key: 'uri' },
  resourceTemplates: {
    method: 'resources/templates/list', capability: 'resources', what: 'resource templates', key: 'uriTemplate'
  },
  prompts: { method: 'prompts/list', capability: 'prompts', what: 'prompts', key: 'name' }
} as const

export type ListName = keyof typeof listKinds

/** The params of a request for a page. */
export const cursorMember = (cursor: string | null): Members => cursor === null ? [] : [['cursor', cursor]]

/** A server whose list has more pages than this has lost count. */
const maxPages = 1_000

/**
 * Reads a list page by page. One odd item costs that item at most, and no item is listed twice.
 *
 * `fetchPage` gets the cursor as the server wrote it, as JSON text. Rejects with BoundError when the pages
 * together are more than the bounds allow: part of a list would be taken for all of it.
 */
export async function readPages (
  list: ListName, bounds: ServerBounds, fetchPage: (cursor: string | null) => Promise<RpcValue>
): Promise<Listed> {
  const { key } = listKinds[list]
  const measure = createMeasure(bounds)
  const texts = new Map<string, string>()
  const warnings: string[] = []
  const cursors = new Set<string>()
  let ttlMs: number | null = null
  let cursor: string | null = null

  for (let page = 0; page < maxPages; page++) {
    const { document, node } = await fetchPage(cursor)
    if (page === 0) ttlMs = numberMember({ document, node }, 'ttlMs')
    const listed = memberOf(node, list)?.items ?? []
    measure(Buffer.byteLength(textOf(document, node)), listed.length)
    listed.forEach((item, index) => {
      const id = stringMember(document, item, key)
      if (id !== null && id !== '') {
        if (!texts.has(id)) texts.set(id, textOf(document, item))
      } else {
        const fault = item.members === undefined ? `is no object but ${nameOfType(item)}` : `has no ${key}`
        warnings.push(`${list}[${index}] ${fault}`)
      }
    })
    const next = presentMember(node, 'nextCursor')
    cursor = next === null ? null : textOf(document, next)
    // A server that names a cursor again makes no progress.
    if (cursor === null || cursor === '""' || cursors.has(cursor)) break
    cursors.add(cursor)
  }
  return { items: await parsed([...texts.values()]), warnings, ...(ttlMs !== null && { ttlMs }) }
}

/** How much is parsed in one turn of the event loop (characters). */
const turnLength = 1_048_576

/** Only when all pages are there: what a list without an end is made of is never parsed. */
async function parsed (texts: readonly string[]): Promise<ListedItem[]> {
  const items: ListedItem[] = []
  let length = 0
  for (const text of texts) {
    length += text.length
    if (length > turnLength) {
      await heavyTurn()
      length = text.length
    }
    items.push({ text, value: JSON.parse(text) as JsonObject })
  }
  return items
}

/** Adds up what pages have. Items that cannot be used count, too. */
function createMeasure ({ maxListBytes, maxListItems }: Pick<ServerBounds, 'maxListBytes' | 'maxListItems'>) {
  let [bytes, items] = [0, 0]
  return function measure (pageBytes: number, pageItems: number): void {
    bytes += pageBytes
    items += pageItems
    if (bytes > maxListBytes) {
      throw new BoundError(`it is longer than MCP_MAX_LIST_BYTES, ${maxListBytes} bytes`)
    }
    if (items > maxListItems) {
      throw new BoundError(`it has more than MCP_MAX_LIST_ITEMS, ${maxListItems} items`)
    }
  }
}

const nameOfType = ({ type }: JsonNode) => type === 'null' ? 'null' : `${type === 'array' ? 'an' : 'a'} ${type}`

export function numberMember ({ document, node }: RpcValue, name: string): number | null {
  const member = memberOf(node, name)
  return member?.type === 'number' ? valueOf(document, member) as number : null
}
