import fp from 'fastify-plugin'
import { resolveScript } from '../lib/mcp/servers-file/script-server.ts'
import type { ServerSpec } from '../lib/mcp/servers-file/server-spec.ts'
import { readServersFile, type ServersFileNote } from '../lib/mcp/servers-file/servers-file.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Reads how to reach the MCP servers, as the operator has configured them by now. Throws ConfigError. The specs
     * hold the operator's secrets: never log them, log their names. An entry with a fault is a spec, too.
     */
    readonly readServerSpecs: () => readonly ServerSpec[]
    /** The specs from the start of the service. */
    readonly serverSpecs: readonly ServerSpec[]
  }
}

/** Start phase: the configuration of the MCP servers, checked before any server is started or connected. */
export default fp(async (fastify) => {
  const { isDescribed, compileCache } = fastify.config
  const { config: { serverScript, serversFile, isServersFileStrict: isStrict, sensitiveParams, values } } = fastify
  const { policyDefaults, scriptValidation: validation } = values
  const host = fastify.hostEnvironment
  /** What is to be told once the service listens; `null` when it does. */
  let early: ServersFileNote[] | null = []

  function readServerSpecs (): readonly ServerSpec[] {
    if (isDescribed) return []
    if (serverScript !== undefined) return [resolveScript(serverScript, { host, validation, compileCache })]
    const notes: ServersFileNote[] = []
    const tell = (note: ServersFileNote) => notes.push(note)
    const context = { host, compileCache, sensitiveParams, policyDefaults }
    const specs = readServersFile(serversFile ?? '', { ...context, isStrict, tell })
    if (early === null) notes.forEach(log)
    else early = notes
    return specs
  }

  function log ({ matters, ...note }: ServersFileNote): void {
    fastify.log[matters ? 'warn' : 'info'](note, 'the servers file says something that is not used')
  }

  fastify.addHook('onListen', async () => {
    early?.forEach(log)
    early = null
  })

  fastify.decorate('readServerSpecs', readServerSpecs)
  fastify.decorate('serverSpecs', readServerSpecs())
}, { name: 'server-config', dependencies: ['config'] })
