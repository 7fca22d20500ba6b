import { isJsonObject, type JsonObject } from '../../lib/json.ts'
import type { OpenApiDocument } from '../../lib/openapi/document.ts'

/*
 * What Open WebUI does with the document of an OpenAPI server, by its source of 2026: each operation becomes a function
 * that a model may call, and a call of it becomes a request. Written anew, without what does not matter here.
 *
 * @see https://github.com/open-webui/open-webui/blob/main/backend/open_webui/utils/tools.py
 */

export interface ModelFunction {
  name: string
  description: string
  parameters: { type?: unknown, properties?: JsonObject, required?: string[] }
}

/** Its Python ends where schemas are nested as deep as this. */
const maxDepth = 300

/**
 * A schema with its references replaced by what they lead to, in the keywords that Open WebUI looks into. A reference
 * that leads back within `properties` or `items` never ends: it throws.
 */
function resolveSchema (schema: unknown, components: JsonObject, seen = new Set<string>(), depth = 0): JsonObject {
  if (depth > maxDepth) throw new RangeError('a schema leads back to itself')
  if (schema === null || schema === undefined || schema === false) return {}
  if (!isJsonObject(schema)) throw new TypeError(`argument of type '${typeof schema}' is not iterable`)
  if (Object.keys(schema).length === 0) return {}
  if ('$ref' in schema) {
    const path = String(schema.$ref)
    const name = path.split('/').at(-1) ?? ''
    if (seen.has(name)) return {}
    seen.add(name)
    const target = path.replace(/^[#/]+|[#/]+$/g, '').split('/').slice(1)
      .reduce<unknown>((value, part) => (value as JsonObject)[part] ?? {}, components)
    return resolveSchema(target, components, seen, depth + 1)
  }
  const inner = (value: unknown) => resolveSchema(value, components, new Set(), depth + 1)
  const resolved: JsonObject = { ...schema }
  if ('properties' in schema) {
    resolved.properties = Object.fromEntries(Object.entries(schema.properties as JsonObject)
      .map(([name, value]) => [name, inner(value)]))
  }
  if ('items' in schema) resolved.items = inner(schema.items)
  for (const keyword of ['oneOf', 'anyOf', 'allOf']) {
    const members = schema[keyword]
    if (Array.isArray(members)) {
      resolved[keyword] = members.map(member => resolveSchema(member, components, seen, depth + 1))
    }
  }
  return resolved
}

export function functionsOf ({ paths, components }: OpenApiDocument): ModelFunction[] {
  return Object.values(paths).flatMap(Object.values).flatMap(operation => {
    const { operationId: name = '', summary = 'No description available.', description = summary } = operation
    if (name === '') return []
    let properties: JsonObject = {}
    const required: string[] = []
    for (const { name, schema = {}, required: isRequired } of operation.parameters ?? []) {
      properties[name] = { type: schema.type ?? 'string', ...(schema.type === 'array' && { items: schema.items }) }
      if (isRequired === true) required.push(name)
    }
    const body = operation.requestBody?.content['application/json']?.schema
    const resolved = body === undefined ? {} : resolveSchema(body, components)
    if (isJsonObject(resolved.properties) && Object.keys(resolved.properties).length > 0) {
      // Defined, not assigned: one may be named `__proto__`.
      properties = Object.fromEntries([...Object.entries(properties), ...Object.entries(resolved.properties)])
      if (Array.isArray(resolved.required)) required.push(...resolved.required as string[])
    }
    return [{ name, description, parameters: { type: 'object', properties, required: [...new Set(required)] } }]
  })
}

/** Calls a function as a model wants it, with the headers of the connection. Throws with the body of a failure. */
export async function callFunction (
  { paths }: OpenApiDocument,
  { url, name, params, headers }: { url: string, name: string, params: JsonObject, headers: Record<string, string> }
): Promise<unknown> {
  const found = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) =>
    ({ path, method, operation }))).find(({ operation }) => operation.operationId === name)
  if (found === undefined) throw new Error(`No matching route found for operationId: ${name}`)
  const { method, operation: { parameters = [], requestBody } } = found
  let path = found.path
  const query = new URLSearchParams()
  for (const { name, in: place } of parameters) {
    if (!Object.hasOwn(params, name)) continue
    if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(String(params[name])))
    if (place === 'query') query.set(name, String(params[name]))
  }
  const hasBody = ['post', 'put', 'patch', 'delete'].includes(method)
  const response = await fetch(`${url.replace(/\/+$/, '')}${path}${query.size > 0 ? `?${String(query)}` : ''}`, {
    method: method.toUpperCase(),
    headers: { 'content-type': 'application/json', ...headers },
    // Without parameters the body is an empty object, also of a DELETE.
    ...(hasBody && { body: JSON.stringify(requestBody === undefined ? {} : params) })
  })
  const text = await response.text()
  if (response.status >= 400) throw new Error(`HTTP error ${response.status}: ${text}`)
  return JSON.parse(text)
}
