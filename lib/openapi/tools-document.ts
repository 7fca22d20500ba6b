import { setImmediate } from 'node:timers/promises'
import type { JsonObject } from '../json.ts'
import { objectText } from '../json-text.ts'
import { type OpenApiDocument, refTo } from './document.ts'
import { operationIds } from './tool-ids.ts'
import { type DescribedTool, describeTool, hasPath, type Members, type ToolOperation } from './tool-operation.ts'

/** How long one turn of the event loop may describe tools (ms). */
const maxTurnMs = 5

export interface ToolsOfServer {
  server: string
  tools: readonly DescribedTool[]
  /** Remembers descriptions as long as somebody remembers the list that they were made of. */
  list: object
}

export interface ToolsDocumentOptions {
  /** The document of the service's own operations. */
  own: OpenApiDocument
  /** The path of the operation that calls any tool, which describes the answers of all. */
  anyTool: string
  /** Further members of the document: what is missing in it. */
  notes: Members
  /** Leaves the service's own operations out: a model that is given all functions of a document calls no others. */
  isToolsOnly: boolean
}

export type DescribeTools = (servers: readonly ToolsOfServer[], options: ToolsDocumentOptions) => Promise<string>

export const tagOf = (server: string): string => `server ${server}`

/**
 * Makes documents in which each tool is an operation of its own, as JSON texts. A list of a thousand tools takes many
 * short turns of the event loop, and only once: the descriptions of a list are remembered.
 */
export function createToolsDocuments (): DescribeTools {
  const remembered = new WeakMap<object, Map<string, ToolOperation>>()

  return async function describeTools (servers, { own: whole, anyTool, notes, isToolsOnly }) {
    const usable = servers.map(one => ({ ...one, tools: one.tools.filter(({ name }) => hasPath(name)) }))
    const all = usable.flatMap(({ tools }) => tools)
    const { [anyTool]: any, ...ownPaths } = whole.paths
    const own = isToolsOnly ? withoutOperations(whole, all.length > 0) : whole
    if (all.length === 0) return withNotes(own, notes)
    const { responses = {}, security = [] } = any?.post ?? {}
    const others = Object.entries(responses).filter(([status]) => status !== '200')
    const shared: Members = others.map(([status]) => [status, `{"$ref":"#/components/responses/Call${status}"}`])
    const common = { responses: shared, security: JSON.stringify(security) }
    const ids = operationIds(all.map(({ name }) => name), idsOf(whole))

    let turnEnds = performance.now() + maxTurnMs
    const operations: ToolOperation[] = []
    for (const { list, tools } of usable) {
      const known = remembered.get(list) ?? new Map<string, ToolOperation>()
      remembered.set(list, known)
      for (const tool of tools) {
        const id = ids.get(tool.name) ?? ''
        const key = `${id} ${tool.name}`
        const operation = known.get(key) ?? describeTool(tool, id, common)
        known.set(key, operation)
        operations.push(operation)
        if (performance.now() < turnEnds) continue
        await setImmediate()
        turnEnds = performance.now() + maxTurnMs
      }
    }

    const { info, openapi, servers: addresses, tags = [], components } = own
    const serverTags = usable.filter(({ tools }) => tools.length > 0)
      .map(({ server }) => ({ name: tagOf(server), description: `The tools of the MCP server ${server}.` }))
    const paths = [...(isToolsOnly ? [] : [membersOf(ownPaths)]), ...operations.map(pathText)]
    const answers = objectText(others.map(([status, response]) => [`Call${status}`, JSON.stringify(response)]))
    const ownSchemas = whole.components.schemas ?? {}
    const schemas = [
      membersOf(isToolsOnly ? usedSchemas(ownSchemas, [answers, ...paths]) : ownSchemas),
      ...operations.flatMap(({ components }) => components)
    ]
    return objectText([
      ['openapi', JSON.stringify(openapi)],
      ['info', JSON.stringify(info)],
      ['servers', JSON.stringify(addresses)],
      ['tags', JSON.stringify([...tags, ...serverTags])],
      ['paths', joined(paths)],
      ['components', objectText([
        ...Object.entries(components).filter(([kind]) => kind !== 'schemas' && kind !== 'responses')
          .map(([kind, value]) => [kind, JSON.stringify(value)] as const),
        ['responses', answers],
        ['schemas', joined(schemas)]
      ])],
      ...notes
    ])
  }
}

const withoutOperations = (document: OpenApiDocument, hasTools: boolean): OpenApiDocument =>
  ({ ...document, paths: {}, tags: [], components: hasTools ? document.components : {} })

/** The schemas that texts refer to, and those that these refer to. */
function usedSchemas (schemas: JsonObject, texts: readonly string[]): JsonObject {
  const used = new Set<string>()
  const look = (texts: readonly string[]): void => {
    for (const [name, schema] of Object.entries(schemas)) {
      const reference = JSON.stringify(refTo(name))
      if (used.has(name) || !texts.some(text => text.includes(reference))) continue
      used.add(name)
      look([JSON.stringify(schema)])
    }
  }
  look(texts)
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)))
}

const pathText = ({ path, operation }: ToolOperation) => `${JSON.stringify(path)}:{"post":${operation}}`

const joined = (members: readonly string[]) => `{${members.filter(text => text !== '').join(',')}}`
const membersOf = (value: object) => JSON.stringify(value).slice(1, -1)

const idsOf = ({ paths }: OpenApiDocument): string[] =>
  Object.values(paths).flatMap(Object.values).flatMap(({ operationId }) => operationId ?? [])

function withNotes (document: OpenApiDocument, notes: Members): string {
  return joined([membersOf(document), ...(notes.length === 0 ? [] : [objectText(notes).slice(1, -1)])])
}
