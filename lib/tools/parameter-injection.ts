import { isJsonObject } from '../json.ts'
import { editedText, type JsonNode, type JsonValue, removalsOf, textOf, withAdded } from '../json-text.ts'
import { topLevelSchemas } from './json-schema.ts'

/** Names of the properties that a tool's input schema declares, also in schemas that it references or combines. */
export function declaredNames (inputSchema: unknown): string[] {
  if (!isJsonObject(inputSchema)) return []
  const names = new Set<string>()
  for (const { properties } of topLevelSchemas(inputSchema)) {
    for (const name of isJsonObject(properties) ? Object.keys(properties) : []) names.add(name)
  }
  return [...names]
}

export interface Injection {
  /** The arguments that the tool is called with: the JSON text of an object. */
  args: string
  /** The caller's own arguments without credentials, which may fill later calls: JSON texts by name. */
  given: ReadonlyMap<string, string>
}

export interface InjectionSources {
  declared: readonly string[]
  sensitiveParams: readonly string[]
  /** JSON texts by name. */
  credentials: ReadonlyMap<string, string>
  /** Cached values: JSON texts by name. */
  values: ReadonlyMap<string, string>
}

/** Names that a cached value could fill: declared, not sent (an explicit null is sent), and no credential. */
export function gapsIn (
  params: JsonNode | null, { declared, sensitiveParams }: Pick<InjectionSources, 'declared' | 'sensitiveParams'>
): string[] {
  const sent = new Set(params?.members?.map(({ name }) => name))
  return declared.filter(name => !sent.has(name) && !sensitiveParams.includes(name))
}

/**
 * Merges the arguments that the caller sent, an object, with what the session knows.
 *
 * A credential comes from the session and only from there, and goes only to a tool that declares it: an argument that
 * the caller sent under a sensitive name is dropped. A cached value fills a gap. Everything else stays as the caller
 * wrote it.
 */
export function injectParameters (params: JsonValue, sources: InjectionSources): Injection {
  const { declared, sensitiveParams, credentials, values } = sources
  const isSensitive = ({ name }: { name: string }) => sensitiveParams.includes(name)
  const secrets = [...credentials].filter(([name]) => declared.includes(name) && isSensitive({ name }))
  const filled = gapsIn(params.node, sources).flatMap(name => {
    const text = values.get(name)
    return text === undefined ? [] : [[name, text] as const]
  })
  const kept = params.node.members?.filter(member => !isSensitive(member)) ?? []
  return {
    args: withAdded(editedText(params, removalsOf(params.node, isSensitive)), [...filled, ...secrets]),
    given: new Map(kept.map(({ name, value }) => [name, textOf(params.document, value)]))
  }
}
