import fp from 'fastify-plugin'
import { type ServerSpec, specFromScript } from '../lib/mcp/servers-file/server-spec.ts'
import { specsFromFile } from '../lib/mcp/servers-file/servers-file.ts'
import { checkPrefixes } from '../lib/mcp/servers-file/tool-names.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The MCP servers as the operator has configured them by now. Throws ConfigError. What it gives holds what the operator
     * wrote, secrets included: never log it, log its names.
     */
    readonly readServerSpecs: () => readonly ServerSpec[]
    /** What it gave when the service started. */
    readonly serverSpecs: readonly ServerSpec[]
  }
}

/** The MCP servers that the operator configured, looked up before anything is started or connected. */
export default fp(async (fastify) => {
  const { config: { serverScript, serversFile, sensitiveParams }, hostEnvironment: host } = fastify

  function readServerSpecs (): readonly ServerSpec[] {
    const specs = serverScript === undefined ? specsFromFile(serversFile ?? '', { host, sensitiveParams }) : [specFromScript(serverScript, host)]
    checkPrefixes(specs)
    return specs
  }

  fastify.decorate('readServerSpecs', readServerSpecs)
  fastify.decorate('serverSpecs', readServerSpecs())
}, { name: 'server-config', dependencies: ['config'] })
