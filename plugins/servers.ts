import fp from 'fastify-plugin'
import { type ServerSpec, specFromScript, specsFromFile } from '../lib/mcp/server-spec.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** How to start the MCP server. Holds what the operator wrote, secrets included: never log it, log its name. */
    readonly serverSpec: ServerSpec
  }
}

/** The MCP server that the operator configured, looked up before anything is started or connected. */
export default fp(async (fastify) => {
  const { config: { serverScript, serversFile }, hostEnvironment } = fastify
  const [spec, ...ignored] = serverScript === undefined
    ? specsFromFile(serversFile ?? '', hostEnvironment)
    : [specFromScript(serverScript, hostEnvironment)]
  if (spec === undefined) throw new Error('specsFromFile gave no server') // it refuses an empty file itself
  if (ignored.length > 0) {
    fastify.log.warn({ used: spec.name, ignored: ignored.map(({ name }) => name) }, 'only the first server of MCP_SERVERS_FILE is used')
  }
  fastify.decorate('serverSpec', spec)
}, { name: 'servers', dependencies: ['config'] })
