import env from '@fastify/env'
import fp from 'fastify-plugin'
import { type Config, resolveConfig } from '../lib/config/config.ts'
import {
  describeInvalidVariable, type Environment, EnvironmentSchema, normalizeEnvironment
} from '../lib/config/environment.ts'
import { ConfigError } from '../lib/errors.ts'
import type { HostEnvironment } from '../lib/mcp/servers-file/server-spec.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The checked settings. */
    readonly config: Config
    /** The environment as it is, for what MCP servers inherit. Holds secrets: never log it. */
    readonly hostEnvironment: HostEnvironment
  }
}

export interface ConfigPluginOptions {
  /** Overrides variables of the process's environment; `undefined` unsets one. */
  env?: HostEnvironment
}

/** Checks the environment before everything else. A bad setting stops the start here, with one line. */
export default fp<ConfigPluginOptions>(async (fastify, opts) => {
  const environment = { ...process.env, ...opts.env }
  const data = normalizeEnvironment(environment)
  try {
    await fastify.register(env, { schema: EnvironmentSchema, data, env: false, confKey: 'environment' })
  } catch (error) {
    throw new ConfigError(describe(error, data))
  }
  const config = resolveConfig(fastify.getDecorator<Environment>('environment'))
  fastify.decorate('config', config)
  fastify.decorate('hostEnvironment', environment)

  if (config.logLevel !== undefined) fastify.log.level = config.logLevel
  if (config.validation === null) {
    fastify.log.warn('MCP_SKIP_VALIDATION is true: credentials are not checked. Never run production like this')
  }
  if (config.encryptionKeys.length === 0) {
    // On listen: a start that fails before that prints only its reason.
    fastify.addHook('onListen', async () => {
      fastify.log.warn('MCP_ENCRYPTION_KEYS is not set: Redis holds credentials and cached values as plain text')
    })
  }
}, { name: 'config' })

/** All refused variables, each in a clause of its own. */
function describe (error: unknown, data: Readonly<Record<string, string>>): string {
  const { errors } = error as { errors?: Array<{ instancePath: string }> }
  const names = new Set(errors?.map(({ instancePath }) => instancePath.slice(1)))
  return [...names].map(name => describeInvalidVariable(name, data[name])).join('; ')
}
