import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { build, type Environment } from './helper.ts'

/** Entries of a servers file, by name. */
export type Entries = Record<string, Record<string, unknown>>

/** Placeholders of the servers file: for a credential of the session, and for a variable of the operator's. */
export const credential = (name: string) => `\${session.${name}}`
export const variable = (name: string) => `\${env.${name}}`

/** A servers file of these entries. */
export async function serversFile (t: Test, mcpServers: Entries): Promise<string> {
  const file = join(t.testdir({}), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers }))
  return file
}

export const serviceOn = async (t: Test, mcpServers: Entries, env: Environment = {}) => await build(t, { MCP_SERVERS_FILE: await serversFile(t, mcpServers), ...env })

/** Workers that share their sessions. */
export async function workersOn (t: Test, count: number, mcpServers: Entries, env: Environment = {}): Promise<[FastifyInstance, ...FastifyInstance[]]> {
  const shared = { MCP_SERVERS_FILE: await serversFile(t, mcpServers), MCP_SESSION_KEY_PREFIX: `test-${crypto.randomUUID()}`, ...env }
  const first = await build(t, shared)
  const others: FastifyInstance[] = []
  while (others.length < count - 1) others.push(await build(t, shared))
  return [first, ...others]
}

export const postTo = (service: FastifyInstance, url: string, payload: object) => service.inject({ method: 'POST', url, payload })

/** Every answer of these is 200; the bodies, in their order. */
export async function bodiesOf<Body> (responses: Array<Promise<{ statusCode: number, body: string, json: () => Body }>>): Promise<Body[]> {
  return (await Promise.all(responses)).map(response => {
    if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}: ${response.body}`)
    return response.json()
  })
}
