import { isJsonObject, type JsonObject } from '../../json.ts'
import { memberOf, readJson, textOf, valueOf } from '../../json-text.ts'
import type { RequestHeaders } from '../transports/text-transport.ts'
import { headerValue } from './standard-headers.ts'

/*
 * In the era of 2026 a tool's schema may ask for arguments to be repeated in headers, for whatever routes the request.
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#custom-headers-from-tool-parameters
 */

const annotation = 'x-mcp-header'
/** RFC 9110, section 5.6.2: a header's name. */
const headerName = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/
const allowedTypes = new Set(['string', 'integer', 'boolean'])
/** Deepest property that is looked at. */
const maxDepth = 50

/** The headers of a request that repeats no argument. */
export const noHeaders: RequestHeaders = new Map()

interface Declaration { header: string, path: readonly string[] }

/** Whether a tool's schema asks for headers in a way that the specification forbids: such a tool is not listed. */
export const hasInvalidHeaders = (inputSchema: unknown): boolean => declarationsIn(inputSchema) === null

/** The headers for a call. Values that a header cannot say are left out, as the specification demands. */
export function parameterHeaders (inputSchema: unknown, args: string): RequestHeaders {
  const declarations = declarationsIn(inputSchema) ?? []
  if (declarations.length === 0) return noHeaders
  const document = readJson(args, maxDepth)
  return new Map(declarations.flatMap(({ header, path }): Array<[string, string]> => {
    let node = document?.root ?? null
    for (const name of path) node = memberOf(node, name)
    if (document === null || node === null) return []
    const value = valueOf(document, node)
    if (typeof value === 'string') return [[`Mcp-Param-${header}`, headerValue(value)]]
    if (typeof value === 'boolean') return [[`Mcp-Param-${header}`, String(value)]]
    const text = textOf(document, node)
    if (/^-?\d+$/.test(text)) return [[`Mcp-Param-${header}`, text]]
    return Number.isSafeInteger(value) ? [[`Mcp-Param-${header}`, String(value)]] : [] // 1e2 is the integer 100
  }))
}

/** The headers that a schema asks for; `null` when it asks in a way that is not allowed. */
function declarationsIn (inputSchema: unknown): Declaration[] | null {
  if (!isJsonObject(inputSchema) || !JSON.stringify(inputSchema).includes(`"${annotation}"`)) return []
  const found: Declaration[] = []
  const isValid = visit(inputSchema, [], true)
  const names = new Set(found.map(({ header }) => header.toLowerCase()))
  return isValid && names.size === found.length ? found : null

  /** Properties of properties may be annotated, and no other schemas. */
  function visit (schema: unknown, path: readonly string[], isReachable: boolean): boolean {
    if (Array.isArray(schema)) return schema.every(item => visit(item, path, false))
    if (!isJsonObject(schema) || path.length > maxDepth) return true
    if (Object.hasOwn(schema, annotation)) {
      const header = schema[annotation]
      if (!isReachable || path.length === 0 || !isDeclaration(schema, header)) return false
      found.push({ header, path })
    }
    return Object.entries(schema).every(([keyword, value]) => {
      if (keyword === annotation || isData.has(keyword)) return true
      if (keyword !== 'properties' || !isJsonObject(value)) return visit(value, path, false)
      return Object.entries(value).every(([name, property]) => visit(property, [...path, name], isReachable))
    })
  }
}

/** Keywords whose values are data and no schemas. */
const isData = new Set(['default', 'const', 'enum', 'examples', 'required'])

const isDeclaration = ({ type }: JsonObject, header: unknown): header is string =>
  typeof header === 'string' && headerName.test(header) && typeof type === 'string' && allowedTypes.has(type)
