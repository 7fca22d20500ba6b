import type { Identity } from './owner.ts'

/** A new session, as /init opens it. */
export interface NewSession {
  identity: Identity
  /** Cached values by name, each as JSON text. */
  values: ReadonlyMap<string, string>
}

/** The field that holds the session's own session at an MCP server. */
export const upstreamField = (server: string) => `u:${server}`

/**
 * Takes the fields of /init apart, JSON texts by name: the sensitive ones are the session's credentials, the others
 * cached values.
 */
export function splitFields (fields: ReadonlyMap<string, string>, sensitiveParams: readonly string[]): NewSession {
  const isCredential = ([name]: [string, string]) => sensitiveParams.includes(name)
  const entries = [...fields]
  const valueOf = (name: string): unknown => JSON.parse(fields.get(name) ?? 'null')
  return {
    identity: {
      apiUrl: valueOf('apiUrl'),
      jwtToken: valueOf('jwtToken'),
      credentials: new Map(entries.filter(isCredential))
    },
    values: new Map(entries.filter(entry => !isCredential(entry)))
  }
}
