import env from '@fastify/env'
import fp from 'fastify-plugin'
import { type Config, resolveConfig } from '../lib/config/config.ts'
import {
  describeInvalidVariable, type Environment, EnvironmentSchema, normalizeEnvironment
} from '../lib/config/environment.ts'
import { readSecretFiles } from '../lib/config/secret-files.ts'
import { ConfigError } from '../lib/errors.ts'
import type { HostEnvironment } from '../lib/mcp/servers-file/host-environment.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The checked settings. */
    readonly config: Config
    /** The whole environment, from which MCP servers inherit. It holds secrets: never log it. */
    readonly hostEnvironment: HostEnvironment
  }
}

export interface ConfigPluginOptions {
  /** Overrides variables of the process's environment; `undefined` unsets one. */
  env?: HostEnvironment | undefined
}

const noValidation = 'MCP_SKIP_VALIDATION is true: credentials are not checked. Never run production like this'
const noEncryption = 'MCP_ENCRYPTION_KEYS is not set: anyone who can read Redis can read credentials and cached values'

const noCheck = 'the validation API checks apiUrl and jwtToken only: these credentials are what whoever opens a session says'

/** Start phase: reads and checks the environment. A variable with a wrong value ends the start with one line. */
export default fp<ConfigPluginOptions>(async (fastify, opts) => {
  const environment = { ...process.env, ...opts.env }
  const data = normalizeEnvironment(readSecretFiles(environment))
  try {
    await fastify.register(env, { schema: EnvironmentSchema, data, env: false, confKey: 'environment' })
  } catch (error) {
    throw new ConfigError(describe(error, data))
  }
  const config = resolveConfig(fastify.getDecorator<Environment>('environment'))
  fastify.decorate('config', config)
  fastify.decorate('hostEnvironment', environment)

  const unchecked = config.sensitiveParams.filter(name => name !== 'apiUrl' && name !== 'jwtToken')
  if (unchecked.length > 0) {
    fastify.addHook('onListen', async () => fastify.log.warn({ credentialNames: unchecked }, noCheck))
  }
  if (config.logLevel !== undefined) fastify.log.level = config.logLevel
  if (config.validation === null) fastify.log.warn(noValidation)
  if (config.encryptionKeys.length === 0) {
    // Only once there is a port: a start that fails before that says only why.
    fastify.addHook('onListen', async () => fastify.log.warn(noEncryption))
  }
}, { name: 'config' })

/** One clause for each variable with a wrong value. */
function describe (error: unknown, data: Readonly<Record<string, string>>): string {
  const { errors } = error as { errors?: Array<{ instancePath: string }> }
  const names = new Set(errors?.map(({ instancePath }) => instancePath.slice(1)))
  return [...names].map(name => describeInvalidVariable(name, data[name])).join('; ')
}
