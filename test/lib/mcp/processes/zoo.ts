import type { Test } from 'tap'
import { createProcessServer, type ProcessServerOptions } from '../../../../lib/mcp/processes/process-server.ts'
import { createStartScheduler } from '../../../../lib/mcp/processes/start-scheduler.ts'
import type { ServerClient } from '../../../../lib/mcp/client/server-client.ts'
import type { Server } from '../../../../lib/mcp/server.ts'
import type { StdioSpec } from '../../../../lib/mcp/servers-file/server-spec.ts'
import { literal } from '../../../../lib/mcp/servers-file/template.ts'
import { chainPolicy } from '../../../../lib/mcp/servers-file/value-policy.ts'
import { serverBounds } from '../../../support/bounds.ts'
import { fixture } from '../../../support/paths.ts'
import { processes } from '../../../support/processes.ts'
import { textOf } from '../../../support/requests.ts'
import { until } from '../../../support/wait.ts'

export const user = { credentials: {}, slot: null, isWatched: false, priority: 'call', waitMs: 10_000 } as const
export const never = () => new AbortController().signal
export const limits = () => ({ timeoutMs: 60_000, signal: never() })

export interface ZooOptions extends Partial<ProcessServerOptions> { limit?: number, spec?: Partial<StdioSpec> }

/** The server of the zoo that misbehaves as its arguments say, as a worker has it. */
export function createZoo (t: Test, args: string[], { limit = 10, spec, ...options }: ZooOptions = {}) {
  const scheduler = options.scheduler ?? createStartScheduler({ maxAlive: limit, maxStarting: 2, maxQueued: 10 })
  const troubles: string[] = []
  const server = createProcessServer({
    kind: 'stdio',
    name: 'zoo',
    identity: 'zoo',
    prefix: 'zoo',
    timeouts: {},
    policy: { ...chainPolicy('zoo'), validation: 'off' },
    command: process.execPath,
    args: [fixture('zoo-server.mjs'), ...args].map(literal),
    env: { PATH: literal(process.env.PATH ?? '') },
    cwd: process.cwd(),
    lifecycle: 'request',
    ...spec
  }, {
    startTimeoutMs: 60_000,
    stopStepMs: 200,
    maxMessageBytes: 1_000_000,
    bounds: serverBounds,
    scheduler,
    warmSpares: 0,
    spareMaxAgeMs: 600_000,
    sharedIdleMs: 600_000,
    onTrouble: (_, message) => troubles.push(message),
    ...options
  })
  t.teardown(() => server.close())
  return { server, scheduler, troubles }
}

/** Calls the tool of a zoo server, which answers with its process id. */
export async function pidOf (client: ServerClient): Promise<number> {
  return JSON.parse(textOf(await client.callTool({ name: 'act', args: '{}' }, limits()))).pid
}

/** A request from its beginning to its end. Gives the process id of its server. */
export async function use (server: Server): Promise<number> {
  const lease = server.lease(user, { signal: never() })
  const pid = await pidOf(await lease.open())
  await lease.release()
  return pid
}

export const spareIsReady = (server: Server) => until(() => server.spares?.ready === 1, 'a spare is ready')

/** The zoo servers that run as processes of this one. */
export const running = () => processes()
  .filter(({ parent, command }) => parent === process.pid && command.includes('zoo-server.mjs'))
  .map(({ pid }) => pid)
