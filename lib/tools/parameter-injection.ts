import { isJsonObject, type JsonObject } from '../json.ts'
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
  /** The arguments that the tool is called with. */
  args: JsonObject
  /** The caller's own arguments without credentials, which may fill later calls. */
  given: JsonObject
}

export interface InjectionSources {
  declared: readonly string[]
  sensitiveParams: readonly string[]
  credentials: JsonObject
  /** Cached values by name. */
  values: ReadonlyMap<string, unknown>
}

/** Names that a cached value could fill: declared, not sent (an explicit null is sent), and no credential. */
export function gapsIn (
  params: JsonObject, { declared, sensitiveParams }: Pick<InjectionSources, 'declared' | 'sensitiveParams'>
): string[] {
  return declared.filter(name => !Object.hasOwn(params, name) && !sensitiveParams.includes(name))
}

/**
 * Merges the caller's arguments with the session's values. Does not modify its input.
 *
 * A credential comes from the session and only from there, and goes only to a tool that declares it: an argument that
 * the caller sent under a sensitive name is dropped. A cached value fills a gap. Every other argument of the caller
 * stays, declared or not.
 */
export function injectParameters (params: JsonObject, sources: InjectionSources): Injection {
  const { declared, sensitiveParams, credentials, values } = sources
  const given = Object.entries(params).filter(([name]) => !sensitiveParams.includes(name))
  const isWanted = (name: string) => declared.includes(name) && sensitiveParams.includes(name)
  const secrets = Object.entries(credentials).filter(([name]) => isWanted(name))
  const filled = gapsIn(params, sources).flatMap(name => values.has(name) ? [[name, values.get(name)] as const] : [])
  // fromEntries defines own properties, so that `__proto__` is a name like any other.
  return { args: Object.fromEntries([...filled, ...given, ...secrets]), given: Object.fromEntries(given) }
}
