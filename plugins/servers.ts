import fp from 'fastify-plugin'
import { ConfigError } from '../lib/errors.ts'
import { specFromScript, type StdioSpec } from '../lib/mcp/server-spec.ts'
import { specsFromFile } from '../lib/mcp/servers-file.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** How to start the MCP server. */
    readonly serverSpec: StdioSpec
  }
}

/** The MCP server that the operator configured, looked up before anything is started or connected. */
export default fp(async (fastify) => {
  const { config: { serverScript, serversFile, sensitiveParams }, hostEnvironment: host } = fastify
  const specs = serverScript === undefined
    ? specsFromFile(serversFile ?? '', { host, sensitiveParams })
    : [specFromScript(serverScript, host)]
  const spec = specs.find(spec => spec.kind === 'stdio')
  if (spec === undefined) throw new ConfigError('MCP_SERVERS_FILE must name a server that is started by a command: others are not supported yet')
  if (specs.length > 1) {
    const ignored = specs.filter(other => other !== spec).map(({ name }) => name)
    fastify.log.warn({ used: spec.name, ignored }, 'only the first server of MCP_SERVERS_FILE is used')
  }
  fastify.decorate('serverSpec', spec)
}, { name: 'servers', dependencies: ['config'] })
