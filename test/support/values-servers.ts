import type { FastifyInstance } from 'fastify'
import { readFile, writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { startUpstream } from './mcp-servers.ts'
import { build, type Environment } from './service.ts'
import { serversFile } from './servers-file.ts'

export interface ValuesTool {
  name: string
  inputSchema: Record<string, unknown>
  outputSchema?: Record<string, unknown>
  /** What a call gives. */
  gives?: Record<string, unknown>
  /** A call fails, by MCP's mark. */
  fails?: boolean
  /** A call is answered with an error of JSON-RPC that says nothing of the tool. */
  breaks?: boolean
}

/** The fields of each server's entry beside its address, and its tools. */
export type ValuesServers = Record<string, { entry?: Record<string, unknown>, tools: ValuesTool[] }>

/** A tool with parameters of any type. */
export const taking = (name: string, declared: string[], more: Partial<ValuesTool> = {}): ValuesTool =>
  ({ name, inputSchema: { type: 'object', properties: Object.fromEntries(declared.map(name => [name, {}])) }, ...more })

export interface CallFields { inject?: unknown, dry_run?: boolean, result?: string }

/** A service on servers whose tools tell what they were called with. */
export async function startValuesServers (t: Test, servers: ValuesServers, env: Environment = {}) {
  const upstream = await startUpstream(t, 'values')
  const entriesOf = (servers: ValuesServers) => Object.fromEntries(Object.entries(servers).map(([name, { entry }]) =>
    [name, { url: `${upstream.url}?server=${encodeURIComponent(name)}`, session: 'request', ...entry }]))
  const toolsOf = (servers: ValuesServers) =>
    Object.fromEntries(Object.entries(servers).map(([name, { tools }]) => [name, tools]))
  await upstream.control({ tools: toolsOf(servers) })
  const file = await serversFile(t, entriesOf(servers))
  const app = await build(t, { MCP_SERVERS_FILE: file, MCP_VALUES: undefined, ...env })

  /** Calls a tool, and gives the whole answer. */
  const post = (session: string, tool: string, params: object = {}, fields: CallFields = {}) => app.inject({
    method: 'POST', url: '/call-tool', payload: { session_id: session, tool, params, ...fields }
  })

  return {
    app,
    upstream,
    post,
    /** What a tool was called with. */
    async received (session: string, tool: string, params: object = {}, fields: CallFields = {}) {
      const response = await post(session, tool, params, { ...fields, result: 'mcp' })
      if (response.statusCode !== 200) throw new Error(`${tool} answered ${response.statusCode}: ${response.body}`)
      return response.json<{ _meta: { received: Record<string, unknown> } }>()._meta.received
    },
    /** Other servers from now on. */
    async change (servers: ValuesServers) {
      await upstream.control({ tools: toolsOf(servers) })
      await writeFile(file, JSON.stringify({ mcpServers: entriesOf(servers) }))
      app.replaceServers(app.readServerSpecs())
    },
    /** Other bytes in the servers file. */
    async edit (change: (text: string) => string) {
      await writeFile(file, change(await readFile(file, 'utf8')))
      app.replaceServers(app.readServerSpecs())
    }
  }
}

/** A request about the session's own values. */
export const putValues = (app: FastifyInstance, session: string, values: unknown) => app.inject({
  method: 'PUT', url: '/session/values', headers: { 'x-session-id': session }, payload: values as object
})
export const deleteValue = (app: FastifyInstance, session: string, name: string) => app.inject({
  method: 'DELETE', url: `/session/values/${encodeURIComponent(name)}`, headers: { 'x-session-id': session }
})
