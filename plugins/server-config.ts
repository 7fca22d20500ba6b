import fp from 'fastify-plugin'
import { resolveScript } from '../lib/mcp/servers-file/script-server.ts'
import type { ServerSpec } from '../lib/mcp/servers-file/server-spec.ts'
import { readServersFile } from '../lib/mcp/servers-file/servers-file.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Reads how to reach the MCP servers, as the operator has configured them by now. Throws ConfigError. The specs
     * hold the operator's secrets: never log them, log their names.
     */
    readonly readServerSpecs: () => readonly ServerSpec[]
    /** The specs from the start of the service. */
    readonly serverSpecs: readonly ServerSpec[]
  }
}

/** Start phase: the configuration of the MCP servers, checked before any server is started or connected. */
export default fp(async (fastify) => {
  const { config: { serverScript, serversFile, sensitiveParams, values }, hostEnvironment: host } = fastify
  const { policyDefaults, scriptValidation: validation } = values

  function readServerSpecs (): readonly ServerSpec[] {
    if (serverScript !== undefined) return [resolveScript(serverScript, { host, validation })]
    return readServersFile(serversFile ?? '', { host, sensitiveParams, policyDefaults })
  }

  fastify.decorate('readServerSpecs', readServerSpecs)
  fastify.decorate('serverSpecs', readServerSpecs())
}, { name: 'server-config', dependencies: ['config'] })
